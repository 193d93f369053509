//! Reads JSON text as a [`Tree`]: no sets, decimals or variants, since JSON does not know them.

use std::borrow::Cow;

use audit_record::private::json::{Reader, Token, Wrong};

use crate::value::gather::unique;
use crate::value::tree::Tree;

pub(super) fn tree(text: &str) -> Result<Tree, Wrong> {
    let mut reader = Reader::new(text);
    let tree = value(&mut reader)?;
    reader.end()?;
    Ok(tree)
}

fn value(reader: &mut Reader<'_>) -> Result<Tree, Wrong> {
    Ok(match reader.token()? {
        Token::Null => Tree::Null,
        Token::Bool(value) => Tree::Bool(value),
        Token::Number(digits) => Tree::number(digits),
        Token::Text(text) => Tree::Text(text.into()),
        Token::List => {
            let mut elements = Vec::new();
            while reader.more()? {
                elements.push(value(reader)?);
            }
            Tree::List(elements)
        }
        Token::Map => {
            let mut entries = Vec::new();
            while reader.more()? {
                let key = reader.key()?.into_owned();
                entries.push((Cow::Owned(key), value(reader)?));
            }
            Tree::Map(unique(entries))
        }
    })
}

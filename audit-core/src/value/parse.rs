//! Reads JSON text as a [`Tree`], without sets, decimals and variants: JSON does not tell them
//! from lists, texts and maps.

use std::borrow::Cow;

use audit_record::private::json::{JsonError, JsonReader, Token};

use crate::value::compound_builder::unique;
use crate::value::tree::Tree;

pub(super) fn tree(text: &str) -> Result<Tree, JsonError> {
    let mut reader = JsonReader::new(text);
    let tree = value(&mut reader)?;
    reader.end()?;
    Ok(tree)
}

fn value(reader: &mut JsonReader<'_>) -> Result<Tree, JsonError> {
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

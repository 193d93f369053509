//! Every rejection that needs both the words and the struct, in one place.
//!
//! What was right is kept beside the mistakes: the implementation is written from it, so that no second error
//! ("not implemented") hides the first.

use std::collections::{HashMap, HashSet};

use proc_macro2::Span;

use super::Mistakes;
use super::args::{Args, Field, Name, Options, Parent};
use super::model::{Struct, StructField};
use crate::words::nearest;

/// Checks what the attribute says against the fields as they are written, before any `#[cfg]`.
///
/// Gives the words with every field by its name, and what is wrong. No words: nothing is to be implemented.
pub(super) fn attribute(args: Args, model: &Struct) -> (Option<Args>, Mistakes) {
    let mut args = args;
    let mut check = Check {
        fields: model.fields(),
        struct_name: model.item.ident.to_string(),
        mistakes: std::mem::take(&mut args.mistakes),
    };
    if let Some(second) = model.second_attribute() {
        let message = "`#[audited_fields]` is given twice: list all fields in one";
        check.mistakes.push(second.span(), message);
        return (None, check.mistakes);
    }
    if let Some(packed) = model.packed() {
        check.mistakes.push(
            packed,
            "fields of a packed struct can't be borrowed, so they can't be compared: take `packed` away, or \
             keep what belongs on the record in another struct",
        );
        return (None, check.mistakes);
    }
    if check.fields.is_empty() {
        let message =
            "a struct without fields has nothing that could change: take `#[audited_fields]` away";
        check.mistakes.push(model.item.ident.span(), message);
        return (None, check.mistakes);
    }
    check.listed(&mut args);
    args.fields.iter_mut().for_each(|field| check.options(field));
    check.key(&mut args);
    check.parent(&mut args, model);
    check.label(&mut args);
    check.names(&args);
    if model.is_tuple() {
        check.numbers(&args);
    }
    (Some(args), check.mistakes)
}

/// Checks the recorded names of the fields that are there, after every `#[cfg]`.
pub(super) fn recorded_names(fields: &[(&Field, StructField<'_>)], mistakes: &mut Mistakes) {
    let mut now: HashMap<String, &str> = HashMap::new();
    for (field, _) in fields {
        let (name, span) = recorded_name(field);
        if let Some(other) = now.get(&name) {
            let message = format!(
                "`{}` and `{other}` would both be recorded as `{name}`: give each a name of its own",
                field.name.text
            );
            mistakes.push(span, message);
        } else {
            now.insert(name, &field.name.text);
        }
    }
    let mut formerly: HashMap<String, &str> = HashMap::new();
    for (field, _) in fields {
        let own = &field.name.text;
        for was in &field.options.was {
            let name = was.value();
            let message = if now.get(&name).is_some_and(|holder| holder == own) {
                format!("`{own}` is recorded as `{name}` still: take `was` away")
            } else if now.contains_key(&name) {
                format!(
                    "`{name}` is the name of a field of today, so its history would be taken for that of \
                     `{own}`: record the other one under a new name, by `rename`"
                )
            } else if let Some(other) = formerly.get(&name) {
                format!("`{own}` and `{other}` can't both have been `{name}`")
            } else {
                formerly.insert(name, own);
                continue;
            };
            mistakes.push(was.span(), message);
        }
    }
}

/// The name under which a field is recorded, and where it says so.
pub(super) fn recorded_name(field: &Field) -> (String, Span) {
    match &field.options.rename {
        Some(rename) => (rename.value(), rename.span()),
        None => (field.name.text.clone(), field.name.span),
    }
}

struct Check<'s> {
    fields: Vec<StructField<'s>>,
    struct_name: String,
    mistakes: Mistakes,
}

impl Check<'_> {
    /// Leaves in `args.fields` every audited field once, and no short form.
    fn listed(&mut self, args: &mut Args) {
        let all = args.all.take();
        let except = args.except.take();
        self.known_and_once(&mut args.fields, |field| &field.name);
        if let Some(all) = all {
            self.all(args, all, except);
        } else if let Some((span, _)) = except {
            self.mistakes
                .push(span, "`except` takes fields away from `all`: write `all, except(…)`");
        }
        if args.fields.is_empty() && self.mistakes.0.is_none() {
            let names: Vec<&str> = self.fields.iter().map(|field| &*field.name).take(3).collect();
            let message = format!(
                "name the fields that belong on the record: `#[audited_fields({})]`, or `all`",
                names.join(", ")
            );
            self.mistakes.push(Span::call_site(), message);
        }
    }

    fn all(&mut self, args: &mut Args, all: Span, except: Option<(Span, Vec<Name>)>) {
        if self.fields.iter().any(|field| field.name == "all") {
            let message = "here `all` could mean every field, or the one that is called so: list the fields, \
                           and write that one `r#all`";
            self.mistakes.push(all, message);
        }
        for field in &args.fields {
            if field.options.says_nothing() {
                let name = &field.name.text;
                let message = format!("`all` holds `{name}` already: leave it out here");
                self.mistakes.push(field.name.span, message);
            }
        }
        let (span, mut except) = except.unwrap_or((all, Vec::new()));
        self.known_and_once(&mut except, |name| name);
        let left_out: HashSet<&str> = except.iter().map(|name| &*name.text).collect();
        for field in args.fields.iter().filter(|field| left_out.contains(&*field.name.text)) {
            let name = &field.name.text;
            let message = format!("`except` takes `{name}` away: say nothing more of it");
            self.mistakes.push(field.name.span, message);
        }
        let mut said: HashMap<String, Field> = std::mem::take(&mut args.fields)
            .into_iter()
            .map(|field| (field.name.text.clone(), field))
            .collect();
        let mut seen = HashSet::new();
        for field in &self.fields {
            // The same name twice: each under its own `#[cfg]`.
            if !left_out.contains(&*field.name) && seen.insert(&*field.name) {
                let unsaid = || Field {
                    name: Name { text: field.name.clone(), span: field.span },
                    options: Options::default(),
                };
                args.fields.push(said.remove(&field.name).unwrap_or_else(unsaid));
            }
        }
        if args.fields.is_empty() && self.mistakes.0.is_none() {
            self.mistakes
                .push(span, "`except` takes every field away, so there is nothing to record");
        }
    }

    /// Takes out what is no field, and what comes a second time.
    fn known_and_once<T>(&mut self, list: &mut Vec<T>, name: impl Fn(&T) -> &Name) {
        let mut seen = HashSet::new();
        list.retain(|item| {
            let name = name(item);
            let is_known = self.is_known(name);
            let is_first = seen.insert(name.text.clone());
            if is_known && !is_first {
                let message = format!("`{}` is named twice; once is enough", name.text);
                self.mistakes.push(name.span, message);
            }
            is_known && is_first
        });
    }

    /// Whether there is such a field; if not, that is a mistake.
    fn is_known(&mut self, name: &Name) -> bool {
        let is_known = self.fields.iter().any(|field| field.name == name.text);
        if !is_known {
            self.mistakes.push(name.span, self.no_field(&name.text));
        }
        is_known
    }

    fn no_field(&self, name: &str) -> String {
        const MOST: usize = 30;
        let mut message = format!("`{}` has no field `{name}`", self.struct_name);
        let mut names: Vec<&str> = Vec::new();
        for field in &self.fields {
            // Under two `#[cfg]`, a field may be written twice.
            if !names.contains(&&*field.name) {
                names.push(&field.name);
            }
        }
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(near) = nearest(name, names.iter().copied())
            && !is_number
        {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        let list = names[..names.len().min(MOST)].join(", ");
        message.push_str(&format!("\nits fields are: {list}"));
        if names.len() > MOST {
            message.push_str(&format!(", and {} more", names.len() - MOST));
        }
        message
    }

    /// Options that exclude each other; the stronger one stays.
    fn options(&mut self, field: &mut Field) {
        let (name, options) = (&field.name.text, &mut field.options);
        if let (Some(_), Some(debug)) = (options.redact, options.debug) {
            let message = format!(
                "`redact` records no value of `{name}`, so `debug` has nothing to say: decide for one of them"
            );
            self.mistakes.push(debug, message);
            options.debug = None;
        }
        if let (Some(_), Some(debug)) = (&options.with, options.debug) {
            let message = "`with` says how the value is recorded already: decide for one of them";
            self.mistakes.push(debug, message);
            options.debug = None;
        }
        if let Some(set) = options.set {
            let message = if options.redact.is_some() {
                format!(
                    "`redact` records no element of `{name}`, so `set` means nothing here: leave it out"
                )
            } else if options.debug.is_some() {
                "`debug` records a text, which has no elements: `set` needs `Serialize`, or `with`"
                    .into()
            } else {
                return;
            };
            self.mistakes.push(set, message);
            options.set = None;
        }
    }

    fn key(&mut self, args: &mut Args) {
        if let Some(key) = &mut args.key {
            self.known_and_once(key, |name| name);
            self.all_shown(key, &args.fields, "the key is part of every record");
            return;
        }
        let id = self.fields.iter().find(|field| field.name == "id");
        let id = id.map(|field| Name { text: field.name.clone(), span: field.span });
        if let Some(id) = id {
            self.all_shown(
                std::slice::from_ref(&id),
                &args.fields,
                "the key is part of every record",
            );
            args.key = Some(vec![id]);
        } else if !args.has_key {
            let message = format!(
                "say which field tells one `{}` from another: `#[audited_fields(…; key = field)]`, or `key = \
                 (field, field)`",
                self.struct_name
            );
            self.mistakes.push(Span::call_site(), message);
        }
    }

    fn parent(&mut self, args: &mut Args, model: &Struct) {
        let Some(Parent { ty, fields }) = &mut args.parent else { return };
        self.known_and_once(fields, |name| name);
        self.all_shown(fields, &args.fields, "the key of the parent is part of every record");
        let own = &model.item.ident;
        if let syn::Type::Path(path) = &*ty
            && path.qself.is_none()
            && path.path.segments.len() == 1
            && (path.path.segments[0].ident == "Self" || path.path.segments[0].ident == *own)
        {
            let message = "a type can't be its own parent, for the path of its name would have no end: list \
                           the field that holds the parent's key";
            self.mistakes.push(path.path.segments[0].ident.span(), message);
            args.parent = None;
        }
    }

    fn label(&mut self, args: &mut Args) {
        let Some(label) = args.label.take() else { return };
        if self.is_known(&label) {
            let label = std::slice::from_ref(&label);
            self.all_shown(label, &args.fields, "the label is part of every record");
            args.label = label.first().cloned();
        }
    }

    /// Nothing in `names` may be redacted: there it would be seen.
    fn all_shown(&mut self, names: &[Name], fields: &[Field], why: &str) {
        for name in names {
            let field = fields.iter().find(|field| field.name.text == name.text);
            if let Some(redact) = field.and_then(|field| field.options.redact) {
                let message = format!(
                    "{why}, so `{}` can't be redacted: name another field there",
                    name.text
                );
                self.mistakes.push(redact, message);
            }
        }
    }

    /// The names of the type.
    fn names(&mut self, args: &Args) {
        if let Some(name) = &args.name
            && name.value().contains('/')
        {
            let message = "`/` stands between a parent and its child: leave it out of the name";
            self.mistakes.push(name.span(), message);
        }
        let now = args.name.as_ref().map_or_else(|| self.struct_name.clone(), syn::LitStr::value);
        let mut seen = HashSet::new();
        for was in &args.was {
            if was.value() == now {
                let message = format!("`{now}` is its name still: take `was` away");
                self.mistakes.push(was.span(), message);
            } else if !seen.insert(was.value()) {
                let message = format!("`{}` is given twice; once is enough", was.value());
                self.mistakes.push(was.span(), message);
            }
        }
    }

    /// The number of a field depends on whether those before it are there.
    fn numbers(&mut self, args: &Args) {
        let Some(first) = self.fields.iter().position(|field| field.has_cfg) else { return };
        let names = args.fields.iter().map(|field| &field.name);
        let names = names.chain(args.key.iter().flatten()).chain(&args.label);
        let names = names.chain(args.parent.iter().flat_map(|parent| &parent.fields));
        let moves = |name: &&Name| name.text.parse::<usize>().is_ok_and(|index| index >= first);
        if let Some(name) = names.into_iter().find(moves) {
            let message = format!(
                "a `#[cfg]` decides which field is number {}: give the fields names",
                name.text
            );
            self.mistakes.push(name.span, message);
        }
    }
}

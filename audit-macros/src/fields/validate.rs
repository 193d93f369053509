//! Checks the arguments against the struct. Every rejection that needs both is here.
//!
//! What is right is kept beside the errors. The implementation is written from it, so that no
//! second error ("trait is not implemented") hides the first.

use std::collections::{HashMap, HashSet};

use proc_macro2::Span;
use syn::{LitStr, Type};

use super::args::{FieldName, FieldOptions, FieldsArgs, ListedField, Parent};
use super::model::{Struct, StructField};
use crate::argument_names::nearest;
use crate::errors::Errors;

/// Checks `args` against the fields as they are written, before any `#[cfg]`.
///
/// Gives the arguments with every audited field by its name, and the errors. Without arguments,
/// nothing is to be implemented.
pub(crate) fn check(mut args: FieldsArgs, model: &Struct) -> (Option<FieldsArgs>, Errors) {
    let mut check = Check {
        fields: model.fields(),
        struct_name: model.item.ident.to_string(),
        errors: std::mem::take(&mut args.errors),
    };
    if check.is_unsuitable(model) {
        return (None, check.errors);
    }
    check.list(&mut args);
    args.fields.iter_mut().for_each(|field| check.options(field));
    check.key(&mut args);
    check.parent(&mut args, model);
    check.label(&mut args);
    check.type_names(&args);
    if model.is_tuple() {
        check.indices(&args);
    }
    (Some(args), check.errors)
}

/// Checks the recorded names of the fields that remain after every `#[cfg]`.
pub(crate) fn check_recorded_names(
    fields: &[(&ListedField, StructField<'_>)],
    errors: &mut Errors,
) {
    let mut current: HashMap<String, &str> = HashMap::new();
    for (field, _) in fields {
        let (name, span) = recorded_name(field);
        if let Some(other) = current.get(&name) {
            let message = format!(
                "`{other}` and `{}` would both be recorded as `{name}`: give one of them another \
                 name by `rename`",
                field.name.text
            );
            errors.push(span, message);
        } else {
            current.insert(name, &field.name.text);
        }
    }
    let mut former: HashMap<String, &str> = HashMap::new();
    for (field, _) in fields {
        let own = &field.name.text;
        for was in &field.options.was {
            let name = was.value();
            let message = if current.get(&name).is_some_and(|holder| holder == own) {
                format!("`{name}` is still the recorded name of `{own}`: remove this `was`")
            } else if current.contains_key(&name) {
                format!(
                    "another field is recorded as `{name}`, so their histories would be mixed: \
                     give that field another name by `rename`"
                )
            } else if let Some(other) = former.get(&name) {
                format!("`{other}` and `{own}` can't both have been `{name}`: remove one `was`")
            } else {
                former.insert(name, own);
                continue;
            };
            errors.push(was.span(), message);
        }
    }
}

/// The name under which a field is recorded, and where it is written.
pub(crate) fn recorded_name(field: &ListedField) -> (String, Span) {
    match &field.options.rename {
        Some(rename) => (rename.value(), rename.span()),
        None => (field.name.text.clone(), field.name.span),
    }
}

struct Check<'s> {
    fields: Vec<StructField<'s>>,
    struct_name: String,
    errors: Errors,
}

impl Check<'_> {
    /// Whether nothing can be implemented for the struct, whatever the arguments are.
    fn is_unsuitable(&mut self, model: &Struct) -> bool {
        if let Some(second) = model.second_attribute() {
            let message = "`#[audited_fields]` is given twice: list all fields in one of them";
            self.errors.push(second.span(), message);
            return true;
        }
        if let Some(packed) = model.packed() {
            let message = "fields of a packed struct can't be borrowed, so they can't be compared: \
                           remove `packed`, or move the audited fields to another struct";
            self.errors.push(packed, message);
            return true;
        }
        if self.fields.is_empty() {
            let message = "a struct without fields never changes: remove `#[audited_fields]`";
            self.errors.push(model.item.ident.span(), message);
            return true;
        }
        false
    }

    /// Leaves in `args.fields` every audited field once, and expands `all`.
    fn list(&mut self, args: &mut FieldsArgs) {
        let all = args.all.take();
        let except = args.except.take();
        self.retain_known(&mut args.fields, |field| &field.name);
        if let Some(all) = all {
            self.all(args, all, except);
        } else if let Some((span, _)) = except {
            self.errors.push(span, "`except` needs `all`: write `all, except(…)`");
        }
        if args.fields.is_empty() && self.errors.is_empty() {
            let names: Vec<&str> = self.fields.iter().map(|field| &*field.name).take(3).collect();
            let message = format!(
                "no field is listed: write `#[audited_fields({})]`, or `#[audited_fields(all)]`",
                names.join(", ")
            );
            self.errors.push(Span::call_site(), message);
        }
    }

    /// Replaces `all` and `except(...)` by the fields that they mean.
    fn all(&mut self, args: &mut FieldsArgs, all: Span, except: Option<(Span, Vec<FieldName>)>) {
        if self.fields.iter().any(|field| field.name == "all") {
            let message = "`all` is ambiguous, because a field has that name: list the fields, and \
                           write that field as `r#all`";
            self.errors.push(all, message);
        }
        let (span, mut except) = except.unwrap_or((all, Vec::new()));
        self.retain_known(&mut except, |name| name);
        let excluded: HashSet<&str> = except.iter().map(|name| &*name.text).collect();
        self.redundant_with_all(&args.fields, &excluded);
        let listed = std::mem::take(&mut args.fields).into_iter();
        let mut listed: HashMap<String, ListedField> =
            listed.map(|field| (field.name.text.clone(), field)).collect();
        let mut seen = HashSet::new();
        for field in &self.fields {
            // A name is there twice if each field is under its own `#[cfg]`.
            if !excluded.contains(&*field.name) && seen.insert(&*field.name) {
                let without_options = || ListedField {
                    name: FieldName { text: field.name.clone(), span: field.span },
                    options: FieldOptions::default(),
                };
                args.fields.push(listed.remove(&field.name).unwrap_or_else(without_options));
            }
        }
        if args.fields.is_empty() && self.errors.is_empty() {
            let message =
                "`except` excludes every field, so nothing would be recorded: list fewer fields";
            self.errors.push(span, message);
        }
    }

    /// Fields beside `all` that are listed for no reason, or excluded.
    fn redundant_with_all(&mut self, listed: &[ListedField], excluded: &HashSet<&str>) {
        for field in listed.iter().filter(|field| field.options.is_empty()) {
            let message = format!("`all` already includes `{}`: remove it here", field.name.text);
            self.errors.push(field.name.span, message);
        }
        for field in listed.iter().filter(|field| excluded.contains(&*field.name.text)) {
            let message = format!("`except` excludes `{}`: remove it here", field.name.text);
            self.errors.push(field.name.span, message);
        }
    }

    /// Removes and reports what is not a field, and what is listed again.
    fn retain_known<T>(&mut self, list: &mut Vec<T>, name: impl Fn(&T) -> &FieldName) {
        let mut seen = HashSet::new();
        list.retain(|item| {
            let name = name(item);
            let is_known = self.is_known(name);
            let is_first = seen.insert(name.text.clone());
            if is_known && !is_first {
                let message = format!("`{}` is listed twice: remove one of them", name.text);
                self.errors.push(name.span, message);
            }
            is_known && is_first
        });
    }

    /// Whether there is such a field. If not, that is reported.
    fn is_known(&mut self, name: &FieldName) -> bool {
        let is_known = self.fields.iter().any(|field| field.name == name.text);
        if !is_known {
            self.errors.push(name.span, self.unknown_field(&name.text));
        }
        is_known
    }

    fn unknown_field(&self, name: &str) -> String {
        const SHOWN: usize = 30;
        let mut message = format!("`{}` has no field `{name}`", self.struct_name);
        let mut names: Vec<&str> = Vec::new();
        for field in &self.fields {
            // A name is there twice if each field is under its own `#[cfg]`.
            if !names.contains(&&*field.name) {
                names.push(&field.name);
            }
        }
        let is_index = name.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(near) = nearest(name, names.iter().copied())
            && !is_index
        {
            message.push_str(&format!("; did you mean `{near}`?"));
        }
        let list = names[..names.len().min(SHOWN)].join(", ");
        message.push_str(&format!("\nits fields are: {list}"));
        if names.len() > SHOWN {
            message.push_str(&format!(", and {} more", names.len() - SHOWN));
        }
        message
    }

    /// Options that exclude each other. The stronger one stays.
    fn options(&mut self, field: &mut ListedField) {
        let (name, options) = (&field.name.text, &mut field.options);
        if let (Some(_), Some(debug)) = (options.redact, options.debug) {
            let message = format!(
                "`redact` records no value of `{name}`, so `debug` has no effect: remove one of them"
            );
            self.errors.push(debug, message);
            options.debug = None;
        }
        if let (Some(_), Some(debug)) = (&options.with, options.debug) {
            let message =
                "`with` already decides how the value is recorded: remove `debug` or `with`";
            self.errors.push(debug, message);
            options.debug = None;
        }
        let Some(set) = options.set else { return };
        let message = if options.redact.is_some() {
            format!("`redact` records no element of `{name}`, so `set` has no effect: remove `set`")
        } else if options.debug.is_some() {
            "`debug` records a text without elements: for `set`, record the field by `Serialize` \
             or by `with`"
                .to_owned()
        } else {
            return;
        };
        self.errors.push(set, message);
        options.set = None;
    }

    fn key(&mut self, args: &mut FieldsArgs) {
        if let Some(key) = &mut args.key {
            self.retain_known(key, |name| name);
            self.reject_redacted(key, &args.fields, "the key");
            return;
        }
        // A field that is called `id` is the key by default.
        let id = self.fields.iter().find(|field| field.name == "id");
        let id = id.map(|field| FieldName { text: field.name.clone(), span: field.span });
        if let Some(id) = id {
            self.reject_redacted(std::slice::from_ref(&id), &args.fields, "the key");
            args.key = Some(vec![id]);
        } else if !args.has_key {
            let message = format!(
                "`{}` has no field `id`, so name the field that identifies an object: \
                 `#[audited_fields(…; key = field)]`, or `key = (field, field)`",
                self.struct_name
            );
            self.errors.push(Span::call_site(), message);
        }
    }

    fn parent(&mut self, args: &mut FieldsArgs, model: &Struct) {
        let Some(Parent { ty, fields }) = &mut args.parent else { return };
        self.retain_known(fields, |name| name);
        self.reject_redacted(fields, &args.fields, "the parent's key");
        // Only the spelling is available: types can't be compared before the expansion. An alias of
        // the own type is rejected too, but with a message about the length of the parent's key.
        if let Type::Path(path) = &*ty
            && path.qself.is_none()
            && path.path.segments.len() == 1
            && let name = &path.path.segments[0].ident
            && (name == "Self" || *name == model.item.ident)
        {
            let message = "a type can't be its own parent, because its path would be infinite: \
                           list the field that holds the parent's key instead";
            self.errors.push(name.span(), message);
            args.parent = None;
        }
    }

    fn label(&mut self, args: &mut FieldsArgs) {
        let Some(label) = args.label.take() else { return };
        if self.is_known(&label) {
            self.reject_redacted(std::slice::from_ref(&label), &args.fields, "the label");
            args.label = Some(label);
        }
    }

    /// Reports fields in `names` that are redacted: as `role`, they are part of every record.
    fn reject_redacted(&mut self, names: &[FieldName], fields: &[ListedField], role: &str) {
        for name in names {
            let field = fields.iter().find(|field| field.name.text == name.text);
            if let Some(redact) = field.and_then(|field| field.options.redact) {
                let message = format!(
                    "{role} is part of every record, so `{}` can't be redacted: use another field \
                     for {role}",
                    name.text
                );
                self.errors.push(redact, message);
            }
        }
    }

    /// The current and former names of the type.
    fn type_names(&mut self, args: &FieldsArgs) {
        if let Some(name) = &args.name
            && name.value().contains('/')
        {
            let message =
                "the name contains `/`, which separates a parent from its child: remove it";
            self.errors.push(name.span(), message);
        }
        let current = args.name.as_ref().map_or_else(|| self.struct_name.clone(), LitStr::value);
        let mut seen = HashSet::new();
        for was in &args.was {
            if was.value() == current {
                let message = format!("`{current}` is still the recorded name: remove this `was`");
                self.errors.push(was.span(), message);
            } else if !seen.insert(was.value()) {
                let message = format!("`{}` is listed twice: remove one of them", was.value());
                self.errors.push(was.span(), message);
            }
        }
    }

    /// The index of a field depends on whether those before it remain.
    fn indices(&mut self, args: &FieldsArgs) {
        let Some(first) = self.fields.iter().position(|field| field.has_cfg) else { return };
        let names = args.fields.iter().map(|field| &field.name);
        let names = names.chain(args.key.iter().flatten()).chain(&args.label);
        let mut names = names.chain(args.parent.iter().flat_map(|parent| &parent.fields));
        let depends =
            |name: &&FieldName| name.text.parse::<usize>().is_ok_and(|index| index >= first);
        if let Some(name) = names.find(depends) {
            let message = format!(
                "a `#[cfg]` decides which field has the index {}: use a struct with named fields",
                name.text
            );
            self.errors.push(name.span, message);
        }
    }
}

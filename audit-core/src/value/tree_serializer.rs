//! [`TreeSerializer`]: makes a [`Tree`] of a value.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use audit_record::private::json::{self, Digits, hex, not_finite};
use serde::Serialize;
use serde::ser::{Error as _, SerializeSeq, Serializer};

use crate::capture::{
    A_LOCK, CaptureError, Depth, LeftOut, Policy, RawJson, StructContent, TypeHint, VariantForm,
    catch_part, drop_panic,
};
use crate::value::compound_builder::{BuilderKind, CompoundBuilder};
use crate::value::tree::Tree;

/// How many bytes a tree may still take.
pub(super) struct MemoryBudget {
    left: usize,
    is_exceeded: bool,
    /// Whether a panic of a part is caught where that part is read. The first attempt does not,
    /// because that would cost time for every part.
    catches_parts: bool,
    /// What has been read of the list or map that was left open last, and its level.
    pub(super) unfinished: Option<(usize, Tree)>,
}

impl MemoryBudget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: bytes, is_exceeded: false, catches_parts: false, unfinished: None }
    }

    /// As [`new`](Self::new), to read a value again that panicked: now only the parts that panic
    /// are lost.
    pub(super) fn catching_parts(bytes: usize) -> Self {
        Self { catches_parts: true, ..Self::new(bytes) }
    }

    /// Whether a part was left out because it was too large.
    pub(super) fn is_exceeded(&self) -> bool {
        self.is_exceeded
    }

    /// What stands in for a value at `level` whose `Serialize` failed with `error`. Of a list or map
    /// that was left open, the parts before are kept.
    #[cold]
    pub(super) fn not_recorded(&mut self, level: usize, error: CaptureError) -> Tree {
        match self.unfinished.take() {
            Some((at, tree)) if at == level => tree.with_rest_not_recorded(error),
            _ => Tree::not_recorded(error),
        }
    }

    pub(super) fn catches_parts(&self) -> bool {
        self.catches_parts
    }

    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), CaptureError> {
        match self.left.checked_sub(bytes) {
            Some(left) if !self.is_exceeded => {
                self.left = left;
                Ok(())
            }
            _ => {
                self.is_exceeded = true;
                Err(CaptureError::CUT)
            }
        }
    }

    /// Formats a text within the budget.
    pub(super) fn format(&mut self, text: fmt::Arguments<'_>) -> Result<String, CaptureError> {
        let mut formatted = BudgetedText { text: String::new(), budget: self };
        fmt::write(&mut formatted, text)
            .map_err(|_| CaptureError::custom("formatting it failed"))?;
        Ok(formatted.text)
    }
}

struct BudgetedText<'b> {
    text: String,
    budget: &'b mut MemoryBudget,
}

impl fmt::Write for BudgetedText<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.budget.spend(part.len()).map_err(|_| fmt::Error)?;
        self.text.push_str(part);
        Ok(())
    }
}

/// Reads one value at its place.
pub(super) struct TreeSerializer<'b, 'r> {
    pub(super) budget: &'b mut MemoryBudget,
    pub(super) policy: Policy<'r>,
    pub(super) depth: Depth,
}

/// The tree of `value`, with what the name of its type adds.
#[inline]
pub(super) fn tree_of<T: ?Sized + Serialize>(
    serializer: TreeSerializer<'_, '_>,
    value: &T,
) -> Result<Tree, CaptureError> {
    match serializer.policy.leaves_out::<T>() {
        None => {}
        Some(LeftOut::Secret) => return Ok(hidden_tree_of(serializer, value)),
        Some(LeftOut::Lock) => return Ok(Tree::not_recorded(CaptureError::custom(A_LOCK))),
    }
    serializer.budget.spend(size_of::<Tree>())?;
    let tree = value.serialize(serializer)?;
    Ok(match TypeHint::of::<T>() {
        TypeHint::None => tree,
        TypeHint::Set => tree.into_set(),
        TypeHint::Decimal => tree.into_decimal(),
    })
}

/// The tree of a `value` inside another one. If it cannot be made, only this part is lost.
#[inline]
pub(super) fn part_of<T: ?Sized + Serialize>(
    serializer: TreeSerializer<'_, '_>,
    value: &T,
) -> Result<Tree, CaptureError> {
    let TreeSerializer { budget, policy, depth } = serializer;
    budget.unfinished = None;
    let serializer = TreeSerializer { budget: &mut *budget, policy, depth };
    let result = match serializer.budget.catches_parts {
        true => catch_part(|| tree_of(serializer, value)),
        false => tree_of(serializer, value),
    };
    match result {
        Err(error) if !budget.is_exceeded => Ok(budget.not_recorded(depth.level, error)),
        result => result,
    }
}

/// Only a hash of a hidden `value`. An error or a panic of its code has no effect on the rest, as
/// if the code had not run.
pub(super) fn hidden_tree_of<T: ?Sized + Serialize>(
    serializer: TreeSerializer<'_, '_>,
    value: &T,
) -> Tree {
    let policy = serializer.policy.inside_hidden_value();
    let serializer = TreeSerializer { policy, ..serializer };
    let tree = match catch_unwind(AssertUnwindSafe(|| tree_of(serializer, value))) {
        Ok(Ok(tree)) => tree,
        Ok(Err(error)) => Tree::not_recorded(error),
        Err(panic) => {
            drop_panic(panic);
            Tree::Null
        }
    };
    tree.into_secret()
}

impl<'b, 'r> TreeSerializer<'b, 'r> {
    /// Begins a list or map whose parts are inside `brackets` more brackets.
    #[inline]
    fn compound(
        self,
        kind: BuilderKind,
        len: Option<usize>,
        brackets: usize,
    ) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        Ok(match self.policy.inside_brackets(self.depth, brackets) {
            Some(depth) => {
                let level = self.depth.level;
                CompoundBuilder::new(Self { depth, ..self }, level, kind, len.unwrap_or_default())
            }
            None => CompoundBuilder::new(self, 0, BuilderKind::TooDeep, 0),
        })
    }

    /// Reads the value in a wrapper that adds no brackets.
    #[inline]
    fn wrapped<T: ?Sized + Serialize>(self, value: &T) -> Result<Tree, CaptureError> {
        match self.policy.inside_wrapper(self.depth) {
            Some(depth) => tree_of(Self { depth, ..self }, value),
            None => Ok(self.too_deep()),
        }
    }

    /// What stands in for this value if it is too deep.
    pub(super) fn too_deep(&self) -> Tree {
        Tree::Text(self.policy.too_deep_mark().into())
    }

    /// Reads what JSON text contains, since parts of it may be hidden.
    pub(super) fn raw_json(self, text: String) -> Result<Tree, CaptureError> {
        match RawJson::check(&text) {
            RawJson::Valid(value) => value.serialize(self),
            RawJson::TooDeep => Ok(self.too_deep()),
            RawJson::Invalid => Ok(Tree::Text(text.into())),
        }
    }

    fn formatted(self, text: fmt::Arguments<'_>) -> Result<Tree, CaptureError> {
        Ok(Tree::Text(self.budget.format(text)?.into()))
    }
}

/// The number that has exactly these digits.
pub(super) fn exact_number(digits: String) -> Tree {
    match json::is_number(&digits) {
        true => Tree::number(&digits),
        false => Tree::Text(digits.into()),
    }
}

macro_rules! integers {
    ($($method:ident: $ty:ty),*) => {$(
        #[inline]
        fn $method(self, value: $ty) -> Result<Tree, CaptureError> {
            #[allow(irrefutable_let_patterns, clippy::unnecessary_fallible_conversions)]
            if let Ok(value) = u64::try_from(value) {
                return Ok(Tree::Unsigned(value));
            }
            #[allow(clippy::unnecessary_fallible_conversions)]
            match i64::try_from(value) {
                Ok(value) => Ok(Tree::Signed(value)),
                Err(_) => self.formatted(format_args!("{value}")),
            }
        }
    )*};
}

macro_rules! floats {
    ($($method:ident: $ty:ty, $digits:path;)*) => {$(
        fn $method(self, value: $ty) -> Result<Tree, CaptureError> {
            Ok(match not_finite(value.into()) {
                Some(name) => Tree::Text(name.into()),
                None => Tree::Number($digits(value).as_str().into()),
            })
        }
    )*};
}

impl<'b, 'r> Serializer for TreeSerializer<'b, 'r> {
    type Ok = Tree;
    type Error = CaptureError;
    type SerializeSeq = CompoundBuilder<'b, 'r>;
    type SerializeTuple = CompoundBuilder<'b, 'r>;
    type SerializeTupleStruct = CompoundBuilder<'b, 'r>;
    type SerializeTupleVariant = CompoundBuilder<'b, 'r>;
    type SerializeMap = CompoundBuilder<'b, 'r>;
    type SerializeStruct = CompoundBuilder<'b, 'r>;
    type SerializeStructVariant = CompoundBuilder<'b, 'r>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128
    }

    floats! {
        serialize_f32: f32, Digits::of_f32;
        serialize_f64: f64, Digits::of_f64;
    }

    fn serialize_bool(self, value: bool) -> Result<Tree, CaptureError> {
        Ok(Tree::Bool(value))
    }

    fn serialize_char(self, value: char) -> Result<Tree, CaptureError> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<Tree, CaptureError> {
        self.budget.spend(value.len())?;
        Ok(Tree::Text(value.into()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Tree, CaptureError> {
        self.budget.spend(2 * value.len())?;
        Ok(Tree::Text(hex(value).into()))
    }

    fn serialize_none(self) -> Result<Tree, CaptureError> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Tree, CaptureError> {
        self.wrapped(value).map(Tree::some)
    }

    fn serialize_unit(self) -> Result<Tree, CaptureError> {
        Ok(Tree::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Tree, CaptureError> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Tree, CaptureError> {
        self.serialize_str(variant)
    }

    #[inline]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Tree, CaptureError> {
        self.wrapped(value)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Tree, CaptureError> {
        let Some(depth) = self.policy.inside_brackets(self.depth, 1) else {
            return Ok(self.too_deep());
        };
        let serializer = Self { depth, ..self };
        let data = match serializer.policy.hides_variant(variant, VariantForm::Newtype) {
            true => hidden_tree_of(serializer, value),
            false => part_of(serializer, value)?,
        };
        Ok(Tree::Variant(variant, VariantForm::Newtype, Box::new(data)))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        self.compound(BuilderKind::List, len, 1)
    }

    fn serialize_tuple(self, len: usize) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        self.compound(BuilderKind::List, Some(len), 1)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        len: usize,
    ) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        self.compound(BuilderKind::List, Some(len), 1)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        if self.policy.hides_variant(variant, VariantForm::Tuple) {
            // Only one bracket: the list of the fields is not recorded.
            let policy = self.policy.inside_hidden_value();
            let serializer = Self { policy, ..self };
            return serializer.compound(BuilderKind::HiddenTuple(variant), Some(len), 1);
        }
        self.compound(BuilderKind::Tuple(variant), Some(len), 2)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        self.compound(BuilderKind::Map, len, 1)
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        match StructContent::of(name) {
            StructContent::Fields => self.compound(BuilderKind::Map, Some(len), 1),
            StructContent::RawJson => self.compound(BuilderKind::RawJson, None, 0),
            StructContent::ExactNumber => self.compound(BuilderKind::ExactNumber, None, 0),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<CompoundBuilder<'b, 'r>, CaptureError> {
        self.compound(BuilderKind::Struct(variant), Some(len), 2)
    }

    /// For sets that other types serialise: `tree_of` sees only these types.
    fn collect_seq<I>(self, elements: I) -> Result<Tree, CaptureError>
    where
        I: IntoIterator,
        I::Item: Serialize,
    {
        let elements_hint = TypeHint::of_elements::<I>();
        let elements = elements.into_iter();
        let len = match elements.size_hint() {
            (lower, Some(upper)) if lower == upper => Some(lower),
            _ => None,
        };
        let mut list = self.serialize_seq(len)?;
        elements.into_iter().try_for_each(|element| list.serialize_element(&element))?;
        let tree = list.end()?;
        Ok(if elements_hint == TypeHint::Set { tree.into_set() } else { tree })
    }

    fn collect_str<T: ?Sized + fmt::Display>(self, value: &T) -> Result<Tree, CaptureError> {
        self.formatted(format_args!("{value}"))
    }
}

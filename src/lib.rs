#![doc = include_str!("crate.md")]

pub use audit_core::{
    Audit, AuditBuilder, Bulk, CaptureLevel, Context, LevelFilter, Limits, Mask, Overflow,
    Redacted, Refused, Tracked, append, catalogue, change, change_of, execute, execute_async,
    field, history, layer, note, outcome, reason, target, testing,
};
/// Implements [`CompareParts`](trait@crate::fields::CompareParts), whose page shows an example.
pub use audit_macros::CompareParts;
#[doc = include_str!("audit_method.md")]
pub use audit_macros::audit_method;
#[doc = include_str!("audited_fields.md")]
pub use audit_macros::audited_fields;
pub use audit_record::{Durability, Error, Json, Outcome, Record};
#[cfg(feature = "sqlite")]
pub use audit_sqlite::{SqliteStore, record_in, transaction};
pub use {chrono, uuid};

/// What a record consists of: [`Record`] and the types of its columns.
///
/// `Record`, `Outcome` and `Json` are also at the root of the crate.
pub mod record {
    pub use audit_record::{
        ChangeKind, CorrelationId, ErrorInfo, FieldChange, Gap, GapBasis, Json, Kind, LogEntry,
        Note, Outcome, Record, Truncation, UnknownName,
    };
}

/// Stores: the trait [`Store`](store::Store), the types that it uses, and the state of a recorder
/// and its store.
pub mod store {
    pub use audit_core::{Collector, Counters, Health, Status};
    pub use audit_record::store::{
        Batch, ChangePosition, ChangeQuery, ChangeReader, ChangeRecord, Children, RecorderSession,
        SessionTally, Store, StoredChange,
    };
    #[cfg(feature = "sqlite")]
    pub use audit_sqlite::{InTransaction, SqliteReader, SqliteStore, SqliteStoreBuilder};
}

/// The types behind [`audited_fields`](macro@crate::audited_fields): descriptions of audited types,
/// keys of objects, and builders of changes.
pub mod fields {
    pub use audit_core::{
        AuditedFields, Catalogue, ChangeOf, CompareParts, FieldInfo, ObjectKey, SaveInfo, TypeInfo,
    };
}

/// Types that functions at the root of the crate take or return, and that programs rarely name.
pub mod call {
    pub use audit_core::{ContextValues, InContext, IntoOutcome, IntoTarget, Recorded, Returned};
}

mod macros;
#[cfg(feature = "sqlite")]
mod start;

#[cfg(feature = "sqlite")]
pub use start::init;

/// Longer documentation, one module per page.
///
/// The same pages are in the folder `docs/` of the repository.
// A page links to another page by a reference such as `[sql]`. Its file defines the reference for
// readers of the repository. The definition before the file takes precedence in rustdoc.
pub mod _documentation {
    /// [sql]: crate::_documentation::sql
    #[doc = include_str!("../docs/benchmarks.md")]
    pub mod benchmarks {}

    #[doc = include_str!("../docs/changes.md")]
    ///
    /// # Items named on this page
    ///
    /// [`audited_fields`](macro@crate::audited_fields),
    /// [`AuditedFields`](crate::fields::AuditedFields),
    /// [`CompareParts`](trait@crate::fields::CompareParts), [`Tracked`](crate::Tracked),
    /// [`Tracked::loaded`](crate::Tracked::loaded), [`change`](crate::change()),
    /// [`change_of`](crate::change_of()), [`Bulk::record`](crate::Bulk::record),
    /// [`Bulk::summary`](crate::Bulk::summary), [`catalogue`](crate::catalogue()),
    /// [`transaction`](crate::transaction()), [`Collector`](crate::store::Collector),
    /// [`Record::rolled_back`](crate::Record::rolled_back),
    /// [`History::stored`](crate::history::History::stored),
    /// [`HistoryReader`](crate::history::HistoryReader),
    /// [`SqliteReader`](crate::store::SqliteReader),
    /// [`History::as_of`](crate::history::History::as_of),
    /// [`State`](crate::history::State),
    /// [`State::uncertain`](crate::history::State::uncertain), [`Mask`](crate::Mask),
    /// [`Redacted`](crate::Redacted), [`Limits`](crate::Limits)
    pub mod changes {}

    #[doc = include_str!("../docs/compare.md")]
    pub mod compare {}

    #[doc = include_str!("../docs/compatibility.md")]
    pub mod compatibility {}

    /// [sql]: crate::_documentation::sql
    #[doc = include_str!("../docs/durability.md")]
    ///
    /// # Items named on this page
    ///
    /// [`audit_method`](macro@crate::audit_method),
    /// [`AuditBuilder::durability`](crate::AuditBuilder::durability),
    /// [`AuditBuilder::wait_limit`](crate::AuditBuilder::wait_limit),
    /// [`Audit::flush`](crate::Audit::flush), [`Audit::shutdown`](crate::Audit::shutdown),
    /// [`Audit::health`](crate::Audit::health), [`Status`](crate::store::Status),
    /// [`Counters`](crate::store::Counters), [`Overflow`](crate::Overflow),
    /// [`Store`](crate::store::Store)
    pub mod durability {}

    /// [compatibility]: crate::_documentation::compatibility
    #[doc = include_str!("../docs/features.md")]
    pub mod features {}

    /// [changes]: crate::_documentation::changes
    /// [durability]: crate::_documentation::durability
    #[doc = include_str!("../docs/limits.md")]
    pub mod limits {}

    #[doc = include_str!("../docs/reliability.md")]
    pub mod reliability {}

    #[doc = include_str!("../docs/sql.md")]
    pub mod sql {}
}

/// Items that the expansion of the attributes refers to. Not a public API.
#[doc(hidden)]
pub mod __private {
    pub use audit_core::private::*;
    pub use audit_macros::AuditedFields;
}

/// Compiles and runs the examples of the README as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

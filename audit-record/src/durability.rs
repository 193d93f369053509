//! [`Durability`]: what a record survives once the call that made it has returned.

use crate::name::named_enum;

named_enum! {
    /// What a record survives from the moment when the call that made it returns.
    ///
    /// A higher level makes the call wait longer. Set it for all actions with
    /// `Audit::builder().durability(…)`, and for one action with the argument `durability` of
    /// `#[audit_method]`.
    ///
    /// A level has one name in attributes, in configuration files (serde) and on the command line:
    ///
    /// ```
    /// use audited::Durability;
    ///
    /// assert!(Durability::Power > Durability::Queued);
    /// assert_eq!(Durability::Process.to_string(), "process");
    /// assert_eq!("power".parse::<Durability>()?, Durability::Power);
    /// # Ok::<(), audited::record::UnknownName>(())
    /// ```
    #[derive(Default)]
    Durability {
        /// The call returns as soon as its record is in the queue. The record survives a panic and
        /// a clean exit of the program. If the process is killed, the next start reports how many
        /// records are lost.
        #[default]
        Queued = "queued",
        /// The call returns after its record is committed. The record survives the end of the
        /// process at any moment.
        Process = "process",
        /// The call returns after the disk has confirmed its record. The record survives a power
        /// loss. Callers that wait at the same time share one sync.
        Power = "power",
    }
}

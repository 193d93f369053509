//! Cuts the power during a recorded workload, and checks what is found then.

use std::ops::Range;
use std::path::Path;

use audit_record::Durability;
use fastrand::Rng;

use crate::disk::{Disk, LOSSES, Loss, Mark, Op};
use crate::workload::RecordedWorkload;

/// The batches that the trail must or may hold at some moment.
#[derive(Clone, Copy, Default)]
pub(crate) struct Promised {
    /// The number of batches that were offered. They may be stored.
    pub(crate) offered: usize,
    /// The number of batches that must be stored.
    pub(crate) safe: usize,
}

impl Promised {
    fn note(&mut self, mark: Mark) {
        match mark {
            Mark::Offered(number) => self.offered = number + 1,
            Mark::Acknowledged(number, Durability::Power) => self.safe = number + 1,
            Mark::Acknowledged(..) => {}
        }
    }
}

/// A state after a loss of power that breaks a promise of the store.
#[derive(Debug)]
#[allow(dead_code, reason = "shown when a test fails")]
pub(crate) struct Violation {
    /// The number of operations before the loss.
    cut: usize,
    /// The last operation before the loss.
    after: String,
    loss: Loss,
    /// The number of operations between the first loss and the second one.
    second_cut: Option<usize>,
    problem: String,
}

/// A recorded workload that is applied to a disk step by step.
struct Replay<'r> {
    recorded: &'r RecordedWorkload,
    disk: Disk,
    promised: Promised,
    /// The number of operations so far.
    done: usize,
    checked: usize,
    violations: Vec<Violation>,
}

impl<'r> Replay<'r> {
    fn new(recorded: &'r RecordedWorkload) -> Self {
        let (disk, promised) = (Disk::new(&recorded.journal.before), Promised::default());
        Self { recorded, disk, promised, done: 0, checked: 0, violations: Vec::new() }
    }

    /// Applies the operations before `cut`.
    fn advance(&mut self, cut: usize) {
        for op in &self.recorded.journal.ops[self.done..cut] {
            self.disk.apply(op);
            if let Op::Mark(mark) = op {
                self.promised.note(*mark);
            }
        }
        self.done = cut;
    }

    /// Cuts the power now, and with `twice` again while the trail is opened after that.
    fn lose_power(&mut self, loss: Loss, twice: bool, rng: &mut Rng, work: &Path) {
        let Self { recorded, promised, done: cut, .. } = *self;
        let files = self.disk.after_loss(loss, rng);
        let second_loss = twice.then_some(rng);
        let result = recorded.check_state(&files, promised, second_loss, work, &mut self.checked);
        if let Err((second_cut, problem)) = result {
            let last = cut.checked_sub(1).map(|last| &recorded.journal.ops[last]);
            let after = last.map_or(String::new(), describe);
            self.violations.push(Violation { cut, after, loss, second_cut, problem });
        }
    }
}

/// Cuts the power `states` times at moments chosen by `seed`, each time in the original run. In one
/// of eight cases, cuts it again while the trail is opened after that. Returns the number of states
/// that were checked, and the violations.
pub(crate) fn cut_power(
    recorded: &RecordedWorkload,
    seed: u64,
    states: usize,
    work: &Path,
) -> (usize, Vec<Violation>) {
    let mut rng = Rng::with_seed(seed);
    let ops = &recorded.journal.ops;
    let acknowledged: Vec<usize> = (0..ops.len())
        .filter(|n| matches!(ops[*n], Op::Mark(Mark::Acknowledged(..))))
        .map(|n| n + 1)
        .collect();
    let mut cuts: Vec<usize> = (0..states)
        .map(|n| {
            // Every third cut is right after an acknowledgement, when most can be lost.
            let random = rng.usize(..=ops.len());
            if n % 3 == 0 { *rng.choice(&acknowledged).unwrap_or(&random) } else { random }
        })
        .collect();
    cuts.sort_unstable();
    let mut replay = Replay::new(recorded);
    for (n, cut) in cuts.into_iter().enumerate() {
        replay.advance(cut);
        let loss = LOSSES[rng.usize(..LOSSES.len())];
        replay.lose_power(loss, n % 8 == 0, &mut rng, work);
    }
    (replay.checked, replay.violations)
}

/// Cuts the power after each number of operations in `cuts`, with each kind of loss.
pub(crate) fn cut_power_at_each(
    recorded: &RecordedWorkload,
    cuts: Range<usize>,
    work: &Path,
) -> Vec<Violation> {
    let (mut rng, mut replay) = (Rng::with_seed(0), Replay::new(recorded));
    for cut in cuts {
        replay.advance(cut);
        for loss in LOSSES {
            replay.lose_power(loss, false, &mut rng, work);
        }
    }
    replay.violations
}

/// The operation as text, without its bytes.
fn describe(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split("bytes").next().unwrap_or_default().to_owned()
}

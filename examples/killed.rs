//! What the trail says after a program was killed with SIGKILL.
//!
//! ```sh
//! cargo run --example killed
//! ```
//!
//! The example starts itself as a cash register (`--cash-register`), kills that process while it
//! works, and opens the trail `killed.db` again, as the program's next start would do.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use audited::{Context, Refused, audit_method};
use rusqlite::Connection;

const TRAIL: &str = "killed.db";

#[derive(Debug)]
enum PaymentError {
    #[expect(dead_code, reason = "printed by `Debug`")]
    NotAudited(Refused),
}

impl From<Refused> for PaymentError {
    fn from(refused: Refused) -> Self {
        Self::NotAudited(refused)
    }
}

/// Returns only after its record is on the disk.
#[audit_method(action = "take payment", target = ("order", order), durability = "power")]
fn take_payment(order: u32, cents: u32) -> u32 {
    cents
}

/// Runs only after an intent is stored, so that the trail shows a call that never ended.
#[audit_method(action = "pay out", target = ("order", order), on_audit_failure = "refuse")]
fn pay_out(order: u32, cents: u32) -> Result<(), PaymentError> {
    report(&format!("paying out {cents} cents for order {order} …"));
    loop {
        // The bank has not answered yet.
        thread::park();
    }
}

/// Returns at once. Its record is queued.
#[audit_method(action = "look up order", target = ("order", order))]
fn look_up(order: u32) {}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("--cash-register") {
        return run_cash_register();
    }
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{TRAIL}{ending}"));
    }
    let program = std::env::current_exe()?;
    let mut child = Command::new(program).arg("--cash-register").stdout(Stdio::piped()).spawn()?;
    kill_when_busy(&mut child)?;

    // The next start closes the open intent and counts the lost records.
    audited::init(TRAIL)?.shutdown()?;
    print_trail()
}

fn kill_when_busy(child: &mut Child) -> Result<(), Box<dyn Error>> {
    let output = child.stdout.take().ok_or("the output is piped")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("cash register: {line}");
        if line == "busy" {
            break;
        }
    }
    child.kill()?;
    println!("cash register: ended by {}", child.wait()?);
    Ok(())
}

fn run_cash_register() -> Result<(), Box<dyn Error>> {
    let _audit = audited::init(TRAIL)?;
    Context::new().actor("cash register 3").scope(|| {
        for (order, cents) in [(17, 1_250), (18, 399)] {
            take_payment(order, cents);
            report(&format!("took {cents} cents for order {order}"));
        }
        let context = Context::current();
        thread::spawn(move || context.scope(|| pay_out(18, 399)));
        // Fast enough that the queue is not empty at the kill. The records in it are lost and
        // counted.
        for order in 1.. {
            look_up(order);
            if order == 50_000 {
                report("busy");
            }
        }
    });
    Ok(())
}

fn report(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
    // Gives the parent time to print the line, so that the lines come in order.
    thread::sleep(Duration::from_millis(20));
}

fn print_trail() -> Result<(), Box<dyn Error>> {
    let trail = Connection::open(TRAIL)?;
    let mut query = trail.prepare(
        "SELECT count(*), action, outcome, kind, ifnull(reason, ''), ifnull(max(output), '')
         FROM audit_log WHERE kind IN ('call', 'gap') GROUP BY kind, action, outcome, reason
         ORDER BY min(seq)",
    )?;
    println!("\nThe trail after the kill:\n\n  records  action           outcome");
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let count: i64 = row.get(0)?;
        let [action, outcome, kind]: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
        let [reason, output]: [String; 2] = [row.get(4)?, row.get(5)?];
        println!("  {count:>7}  {action:<15}  {outcome}");
        for detail in [reason, if kind == "gap" { output } else { String::new() }] {
            if !detail.is_empty() {
                println!("           {detail}");
            }
        }
    }
    println!(
        "
Both payments are stored: `durability = \"power\"` returns after the record is on the disk.
Calls without it return at once; the records still queued at the kill are lost, and counted.
The payout has the outcome `unknown`: its intent was stored before it ran, and it never ended."
    );
    Ok(())
}

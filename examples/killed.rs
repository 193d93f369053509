//! What the trail says of a program that was killed in the midst of its work.
//!
//! `cargo run --example killed` starts itself as a till, kills that with SIGKILL while it works, and opens the trail
//! again, as the next start would.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use audited::{Context, Refused, audit_method};
use rusqlite::Connection;

const TRAIL: &str = "killed.db";

#[derive(Debug)]
enum TillError {
    #[expect(dead_code, reason = "printed by `Debug`")]
    NotAudited(Refused),
}

impl From<Refused> for TillError {
    fn from(refused: Refused) -> Self {
        Self::NotAudited(refused)
    }
}

/// Returns only when the disk has its record.
#[audit_method(action = "take payment", target = ("order", order), durability = "power")]
fn take_payment(order: u32, cents: u32) -> u32 {
    cents
}

/// Does not begin unless it is on the record that it does.
#[audit_method(action = "pay out", target = ("order", order), on_audit_failure = "refuse")]
fn pay_out(order: u32, cents: u32) -> Result<(), TillError> {
    say(&format!("paying out {cents} cents for order {order} …"));
    loop {
        // The money is on its way, and nobody knows whether it will arrive.
        thread::park();
    }
}

/// Returns at once; its record follows.
#[audit_method(action = "look up order", target = ("order", order))]
fn look_up(order: u32) {}

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("--till") {
        return till();
    }
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{TRAIL}{ending}"));
    }
    let mut till =
        Command::new(std::env::current_exe()?).arg("--till").stdout(Stdio::piped()).spawn()?;
    kill_in_the_midst(&mut till)?;

    // The next start: it closes what was left open, and counts what is lost.
    audited::init(TRAIL)?.close()?;
    show()
}

fn kill_in_the_midst(till: &mut Child) -> Result<(), Box<dyn Error>> {
    let output = till.stdout.take().ok_or("the output is piped")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("till: {line}");
        if line == "busy" {
            break;
        }
    }
    till.kill()?;
    let status = till.wait()?;
    println!("till: {status}");
    Ok(())
}

fn till() -> Result<(), Box<dyn Error>> {
    let _audit = audited::init(TRAIL)?;
    Context::new().actor("till 3").scope(|| {
        for (order, cents) in [(17, 1_250), (18, 399)] {
            take_payment(order, cents);
            say(&format!("took {cents} cents for order {order}"));
        }
        let context = Context::current();
        thread::spawn(move || context.scope(|| pay_out(18, 399)));
        // Long enough for the writer to fall behind: what it has not stored at the kill is lost, and counted.
        for order in 1.. {
            look_up(order);
            if order == 50_000 {
                say("busy");
            }
        }
    });
    Ok(())
}

fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
    // Given the time to be read, so that the lines come in order.
    thread::sleep(Duration::from_millis(20));
}

fn show() -> Result<(), Box<dyn Error>> {
    let trail = Connection::open(TRAIL)?;
    let mut records = trail.prepare(
        "SELECT kind, action, outcome, count(*), ifnull(max(reason), ''), ifnull(max(output), '')
         FROM audit_log WHERE kind IN ('call', 'gap') GROUP BY kind, action, outcome ORDER BY min(seq)",
    )?;
    println!("\nwhat the trail says:");
    let mut rows = records.query([])?;
    while let Some(row) = rows.next()? {
        let [kind, action, outcome]: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
        let (count, reason, output): (i64, String, String) =
            (row.get(3)?, row.get(4)?, row.get(5)?);
        println!("  {count:>6} {kind} {action} → {outcome}");
        if outcome == "unknown" {
            println!("         {reason}");
        }
        if kind == "gap" {
            println!("         {output}");
        }
    }
    Ok(())
}

//! Bodies that move `self` or an argument: the object is compared all the same, whatever the names
//! of the functions, methods and macros that take it.

use std::io::{self, Write};

use audited::{Outcome, Record, audit_method, audited_fields, testing};

use super::{block_on, pause, poll_once_and_drop};

#[audited_fields(text, count; key = id)]
#[derive(Debug, PartialEq, PartialOrd)]
struct Doc {
    id: u8,
    text: String,
    count: u32,
}

fn doc() -> Doc {
    Doc { id: 1, text: String::new(), count: 0 }
}

impl Write for Doc {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Future for Doc {
    type Output = u32;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<u32> {
        self.count += 1;
        std::task::Poll::Ready(self.count)
    }
}

impl Iterator for Doc {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.count += 1;
        (self.count <= 3).then_some(self.count)
    }
}

/// Takes any writer by value.
fn write_to<W: Write>(mut writer: W) -> io::Result<()> {
    writer.write_all(b"x")
}

fn upsert(doc: &mut Doc) {
    doc.text.push('x');
}

fn read(doc: &Doc, text: &str) -> usize {
    doc.text.len() + text.len()
}

/// A method that takes its receiver by value, for every writer.
trait Finish: Write + Sized {
    fn finish(mut self) -> io::Result<()> {
        self.write_all(b"x")
    }

    fn into_finished(self) -> io::Result<()> {
        self.finish()
    }
}

impl<W: Write> Finish for W {}

struct Holder<'d> {
    doc: &'d mut Doc,
}

macro_rules! own {
    ($value:expr) => {{
        let owned = $value;
        owned.text.push('x');
    }};
}

/// Moves what its argument names.
macro_rules! in_closure {
    ($($body:tt)*) => {{
        let mut run = move || { $($body)* };
        run();
    }};
}

macro_rules! in_future {
    ($($body:tt)*) => {
        async move { $($body)* }.await
    };
}

impl Doc {
    #[audit_method(skip_all)]
    fn to_generic(&mut self) -> io::Result<()> {
        write_to(self)
    }

    #[audit_method(skip_all)]
    fn to_generic_by_path(&mut self) -> io::Result<()> {
        self::write_to::<&mut Self>(self)
    }

    #[audit_method(skip_all)]
    fn to_local(&mut self) {
        let me = self;
        me.text.push('x');
    }

    #[audit_method(skip_all)]
    fn to_function(&mut self) -> usize {
        upsert(self);
        read(self, &self.text)
    }

    #[audit_method(skip_all)]
    fn by_value(&mut self) -> io::Result<()> {
        self.finish()
    }

    #[audit_method(skip_all)]
    fn by_value_into(&mut self) -> io::Result<()> {
        self.into_finished()
    }

    #[audit_method(skip_all)]
    fn by_value_path(&mut self) -> io::Result<()> {
        Finish::finish(self)
    }

    #[audit_method(skip_all)]
    fn to_struct(&mut self) {
        let holder = Holder { doc: self };
        holder.doc.text.push('x');
    }

    #[audit_method(skip_all)]
    fn to_option(&mut self) -> Option<usize> {
        Some(self).map(|doc| {
            doc.text.push('x');
            doc.text.len()
        })
    }

    #[audit_method(skip_all)]
    fn to_list(&mut self) {
        for doc in Vec::from([self]) {
            doc.text.push('x');
        }
    }

    #[audit_method(skip_all)]
    fn to_box(&mut self) {
        let mut writer: Box<dyn Write + '_> = Box::new(self);
        let _ = writer.write_all(b"x");
    }

    #[audit_method(skip_all)]
    fn to_dyn(&mut self) -> io::Result<()> {
        fn write(writer: &mut dyn Write) -> io::Result<()> {
            writer.write_all(b"x")
        }
        write(self)
    }

    #[audit_method(skip_all)]
    fn to_match(&mut self) {
        match self {
            doc if doc.count == 9 => {}
            doc => doc.text.push('x'),
        }
    }

    #[audit_method(skip_all)]
    fn to_pattern(&mut self) {
        let Self { text, .. } = self;
        text.push('x');
    }

    #[audit_method(skip_all)]
    fn to_macro(&mut self) {
        own!(self);
    }

    #[audit_method(skip_all)]
    fn to_format(&mut self) -> io::Result<String> {
        write!(self, "x")?;
        Ok(format!("{self:?} {:?}", self))
    }

    #[audit_method(skip_all)]
    fn to_closure(&mut self) {
        let mut push = move || self.text.push('x');
        push();
    }

    #[audit_method(skip_all)]
    fn to_closure_in_macro(&mut self) {
        in_closure!(self.text.push('x'));
    }

    #[audit_method(skip_all)]
    fn to_thread(&mut self) {
        std::thread::scope(|scope| {
            scope.spawn(move || self.text.push('x'));
        });
    }

    #[audit_method(skip_all)]
    fn to_loop(&mut self) -> u32 {
        let mut sum = 0;
        for number in self {
            sum += number;
        }
        sum
    }

    #[audit_method(skip_all)]
    fn to_return(&mut self) -> bool {
        if self.count == 0 {
            return write_to(self).is_ok();
        }
        false
    }

    #[audit_method(skip_all)]
    fn to_question(&mut self) -> io::Result<bool> {
        write_to(self)?;
        Err(io::Error::other("no"))
    }

    #[audit_method(skip_all)]
    fn to_panic(&mut self) {
        write_to(self).unwrap();
        panic!("no");
    }

    #[audit_method(skip_all)]
    fn rebound(mut self: &mut Self) {
        self.text.push('x');
        let mut other = Doc { id: 2, text: String::new(), count: 0 };
        self = Box::leak(Box::new(Doc { id: 3, text: String::new(), count: 0 }));
        std::mem::swap(self, &mut other);
        self.text.push('y');
    }

    #[audit_method(skip_all)]
    fn compared(&mut self) -> bool {
        let other = &mut doc();
        self.text.push('x');
        self > other
    }

    #[audit_method(skip_all)]
    async fn to_await(&mut self) -> u32 {
        self.await
    }

    #[audit_method(skip_all)]
    async fn to_async_block(&mut self) {
        let push = async move {
            pause().await;
            self.text.push('x');
        };
        push.await;
    }

    #[audit_method(skip_all)]
    async fn to_async_block_in_macro(&mut self) {
        in_future!(self.text.push('x'));
    }

    #[audit_method(skip_all)]
    async fn to_generic_later(&mut self) -> io::Result<()> {
        pause().await;
        write_to(self)
    }

    #[audit_method(skip_all)]
    async fn is_dropped(&mut self) {
        let this = self;
        let _guard = PushWhenDropped(&mut this.text);
        std::future::pending::<()>().await;
    }
}

struct PushWhenDropped<'t>(&'t mut String);

impl Drop for PushWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.push('x');
    }
}

#[audit_method(skip_all)]
fn argument_to_generic(doc: &mut Doc) -> io::Result<()> {
    write_to(doc)
}

#[audit_method(skip_all)]
fn argument_to_thread(doc: &mut Doc) {
    std::thread::scope(|scope| {
        scope.spawn(move || doc.text.push('x'));
    });
}

#[audit_method(skip_all)]
fn argument_by_value(doc: &mut Doc) -> io::Result<()> {
    doc.finish()
}

/// The name of the function, the changes, and the paths in `truncated`.
fn line(record: &Record) -> String {
    let name = record.action.rsplit("::").next().unwrap_or_default();
    let cuts: Vec<_> = record.truncated.iter().map(|cut| &*cut.path).collect();
    let changes = super::change_lines(record).join(", ");
    format!("{name}: {changes}{}", cuts.join(", "))
}

#[test]
fn an_object_whose_reference_the_body_moves_is_compared() {
    type Body = fn(&mut Doc);
    let bodies: &[(&str, Body)] = &[
        ("to_generic", |doc| doc.to_generic().unwrap()),
        ("to_generic_by_path", |doc| doc.to_generic_by_path().unwrap()),
        ("to_local", Doc::to_local),
        ("to_function", |doc| assert_eq!(doc.to_function(), 2)),
        ("by_value", |doc| doc.by_value().unwrap()),
        ("by_value_into", |doc| doc.by_value_into().unwrap()),
        ("by_value_path", |doc| doc.by_value_path().unwrap()),
        ("to_struct", Doc::to_struct),
        ("to_option", |doc| assert_eq!(doc.to_option(), Some(1))),
        ("to_list", Doc::to_list),
        ("to_box", Doc::to_box),
        ("to_dyn", |doc| doc.to_dyn().unwrap()),
        ("to_match", Doc::to_match),
        ("to_pattern", Doc::to_pattern),
        ("to_macro", Doc::to_macro),
        ("to_format", |doc| assert!(doc.to_format().unwrap().starts_with("Doc { id: 1"))),
        ("to_closure", Doc::to_closure),
        ("to_closure_in_macro", Doc::to_closure_in_macro),
        ("to_thread", Doc::to_thread),
        ("to_return", |doc| assert!(doc.to_return())),
        ("rebound", |doc| doc.rebound()),
        ("compared", |doc| assert!(doc.compared())),
        ("to_async_block", |doc| block_on(doc.to_async_block())),
        ("to_async_block_in_macro", |doc| block_on(doc.to_async_block_in_macro())),
        ("to_generic_later", |doc| block_on(doc.to_generic_later()).unwrap()),
        ("argument_to_generic", |doc| argument_to_generic(doc).unwrap()),
        ("argument_to_thread", argument_to_thread),
        ("argument_by_value", |doc| argument_by_value(doc).unwrap()),
    ];
    for (name, body) in bodies {
        let records = testing::capture(|| body(&mut doc()));
        let lines: Vec<_> = records.iter().map(line).collect();
        assert_eq!(lines, [format!(r#"{name}: Doc 1 text "" "x""#)]);
        assert_eq!(records[0].outcome, Outcome::Success);
    }
}

#[test]
fn an_object_that_is_iterated_or_awaited_by_its_reference_is_compared() {
    let records = testing::capture(|| {
        assert_eq!(doc().to_loop(), 6);
        assert_eq!(block_on(doc().to_await()), 1);
    });
    let lines: Vec<_> = records.iter().map(line).collect();
    assert_eq!(lines, ["to_loop: Doc 1 count 0 4", "to_await: Doc 1 count 0 1"]);
}

#[test]
fn an_object_that_was_moved_is_compared_for_every_outcome() {
    let records = testing::capture(|| {
        assert!(doc().to_question().is_err());
        let panics = || doc().to_panic();
        assert!(std::panic::catch_unwind(panics).is_err());
        poll_once_and_drop(doc().is_dropped());
    });
    let lines: Vec<_> = records.iter().map(|record| (line(record), record.outcome)).collect();
    let expected = [
        (r#"to_question: Doc 1 text "" "x""#.to_owned(), Outcome::Failure),
        (r#"to_panic: Doc 1 text "" "x""#.to_owned(), Outcome::Panic),
        (r#"is_dropped: Doc 1 text "" "x""#.to_owned(), Outcome::Cancelled),
    ];
    assert_eq!(lines, expected);
}

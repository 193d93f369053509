//! Values with parts that cannot be recorded, and values that JSON does not tell apart.

use std::cell::RefCell;
use std::path::PathBuf;

use audited::record::Truncation;
use audited::{Audit, SqliteStore, audit_method};
use serde::Deserialize;
use serde_json::Value;

use super::*;

const BAD_PATH: &str = "[not recorded: path contains invalid UTF-8 characters]";
const WHY: &str = "path contains invalid UTF-8 characters";

#[cfg(unix)]
fn bad_path(end: &[u8]) -> PathBuf {
    let bytes = [b"/tmp/\xff", end].concat();
    PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes))
}

#[derive(Clone, PartialEq, Serialize)]
struct Files {
    main: PathBuf,
    others: Vec<PathBuf>,
    sizes: HashMap<PathBuf, u64>,
    count: u32,
}

#[audited_fields(files, owner; key = id)]
struct Upload {
    id: u8,
    files: Files,
    owner: String,
}

#[cfg(unix)]
fn upload() -> Upload {
    let files = Files {
        main: bad_path(b""),
        others: vec!["/a".into(), bad_path(b"")],
        sizes: HashMap::from([(bad_path(b"1"), 10), ("/a".into(), 20), (bad_path(b"2"), 30)]),
        count: 2,
    };
    Upload { id: 1, files, owner: "ann".into() }
}

#[test]
#[cfg(unix)]
fn a_bad_part_of_a_field_is_lost_alone() {
    let records = testing::capture(|| {
        let mut upload = Tracked::new(upload());
        upload.save(accept).unwrap();
        upload.files.count = 3;
        upload.files.sizes.insert("/a".into(), 21);
        upload.files.others[0] = "/b".into();
        upload.save(accept).unwrap();
    });
    let created = format!(
        concat!(
            r#"created Upload 1 files - {{"main":"{bad}","others":["/a","{bad}"],"#,
            r#""sizes":{{"/a":20,"{bad}":10,"{bad} #2":30}},"count":2}}"#
        ),
        bad = BAD_PATH
    );
    assert_eq!(change_lines(&records[0]), [&*created, r#"created Upload 1 owner - "ann""#]);
    let lost = |path: &str| Truncation::not_recorded(format!("changes.files.{path}"), WHY);
    assert_eq!(
        records[0].truncated,
        [
            lost("main"),
            lost("others[1]"),
            lost(&format!("sizes.{BAD_PATH}")),
            lost(&format!("sizes.{BAD_PATH} #2")),
        ]
    );
    assert_eq!(
        change_lines(&records[1]),
        [
            r#"changed Upload 1 files.others[0] "/a" "/b""#,
            "changed Upload 1 files.sizes[\"/a\"] 20 21",
            "changed Upload 1 files.count 2 3",
        ]
    );
    assert_eq!(records[1].truncated, []);
}

#[test]
#[cfg(unix)]
fn a_bad_part_of_an_argument_is_lost_alone() {
    #[audit_method]
    fn scan(files: &Files, limit: u32) -> Vec<PathBuf> {
        let _ = limit;
        files.others.clone()
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let audit = Audit::builder().store(SqliteStore::open(&path).unwrap()).build().unwrap();
    Context::new().recorder(&audit).scope(|| {
        scan(&Files { sizes: HashMap::new(), ..upload().files }, 9);
    });
    audit.flush().unwrap();
    let db = rusqlite::Connection::open(&path).unwrap();
    let row: [String; 3] = db
        .query_row("SELECT input, output, truncated FROM audit_log", [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        })
        .unwrap();
    let lost = |path: &str| {
        format!(r#"{{"path":"{path}","unit":"values","kept":0,"was":1,"reason":"{WHY}"}}"#,)
    };
    assert_eq!(
        row,
        [
            format!(
                r#"{{"files":{{"main":"{BAD_PATH}","others":["/a","{BAD_PATH}"],"sizes":{{}},"count":2}},"limit":9}}"#
            ),
            format!(r#"["/a","{BAD_PATH}"]"#),
            format!(
                "[{},{},{}]",
                lost("input.files.main"),
                lost("input.files.others[1]"),
                lost("output[1]")
            ),
        ]
    );
}

#[test]
#[cfg(unix)]
fn a_change_of_a_part_that_cannot_be_recorded_is_visible() {
    let records = testing::capture(|| {
        let mut upload = Tracked::loaded(upload());
        upload.files.main = bad_path(b"other");
        upload.save(accept).unwrap();
        upload.files.main = "/good".into();
        upload.save(accept).unwrap();
    });
    let [row] = &*change_lines(&records[0]) else { panic!("one row") };
    assert!(row.starts_with(&format!(r#"changed Upload 1 files {{"main":"{BAD_PATH}""#)), "{row}");
    assert_eq!(
        change_lines(&records[1]),
        [format!(r#"changed Upload 1 files.main "{BAD_PATH}" "/good""#)]
    );
    assert_eq!(records[1].truncated, [Truncation::not_recorded("changes.files.main", WHY)]);
}

#[test]
fn a_part_that_panics_is_lost_alone() {
    #[derive(Clone)]
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("on purpose")
        }
    }
    #[derive(Serialize)]
    struct Part {
        bad: Option<Panics>,
        by_key: BTreeMap<u8, Panics>,
        cell: Rc<RefCell<u8>>,
        good: u8,
    }
    #[audited_fields(part; key = id)]
    struct Whole {
        id: u8,
        part: Part,
    }
    let cell = Rc::new(RefCell::new(1));
    let borrowed = cell.clone();
    let records = testing::capture(|| {
        let by_key = BTreeMap::from([(7, Panics)]);
        let part = Part { bad: Some(Panics), by_key, cell, good: 1 };
        let mut whole = Tracked::loaded(Whole { id: 1, part });
        whole.part.good = 2;
        let _borrowed = borrowed.borrow_mut();
        whole.save(accept).unwrap();
    });
    assert_eq!(
        change_lines(&records[0]),
        [
            r#"changed Whole 1 part.cell 1 "[not recorded: already mutably borrowed]""#,
            "changed Whole 1 part.good 1 2",
        ]
    );
    assert_eq!(
        records[0].truncated,
        [Truncation::not_recorded("changes.part.cell", "already mutably borrowed")]
    );
}

#[audited_fields(value, unit, nested, part; key = id)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Optional {
    id: u8,
    value: Option<Value>,
    unit: Option<()>,
    nested: Option<Option<Option<u8>>>,
    part: Vec<BTreeMap<String, Option<Value>>>,
}

fn nothing() -> Optional {
    let part = vec![BTreeMap::from([("a".into(), None)])];
    Optional { id: 1, value: None, unit: None, nested: None, part }
}

#[test]
fn none_and_some_null_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.db");
    let audit = Audit::builder().store(SqliteStore::open(&path).unwrap()).build().unwrap();
    let mut times = Vec::new();
    Context::new().recorder(&audit).scope(|| {
        let mut object = Tracked::new(nothing());
        let mut save = |object: &mut Tracked<Optional>| {
            object.save(accept).unwrap();
            times.push(chrono::Utc::now());
        };
        save(&mut object);
        object.value = Some(Value::Null);
        object.unit = Some(());
        object.nested = Some(None);
        object.part[0].insert("a".into(), Some(Value::Null));
        save(&mut object);
        object.nested = Some(Some(None));
        save(&mut object);
        object.nested = Some(Some(Some(3)));
        object.value = None;
        save(&mut object);
    });
    audit.flush().unwrap();

    let history = audit.history::<Optional>(1).unwrap();
    let states: Vec<_> = times.iter().map(|time| history.as_of(*time).unwrap().unwrap()).collect();
    let texts: Vec<_> = states.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            r#"{"value":null,"unit":null,"nested":null,"part":[{"a":null}]}"#,
            concat!(
                r#"{"value":"[Some(null)]","unit":"[Some(null)]","nested":"[Some(null)]","#,
                r#""part":[{"a":"[Some(null)]"}]}"#
            ),
            concat!(
                r#"{"value":"[Some(null)]","unit":"[Some(null)]","nested":"[Some(Some(null))]","#,
                r#""part":[{"a":"[Some(null)]"}]}"#
            ),
            r#"{"value":null,"unit":"[Some(null)]","nested":3,"part":[{"a":"[Some(null)]"}]}"#,
        ]
    );
    assert!(states.iter().all(|state| state.uncertain().is_empty()), "{states:?}");
    // The type itself is deserialised from what it is serialised as.
    let restored: Optional = states[1].onto(&nothing()).unwrap();
    assert_eq!(restored, nothing());

    let rows = rusqlite::Connection::open(&path).unwrap();
    let mut rows = rows
        .prepare("SELECT field, before, after FROM audit_changes WHERE change = 'changed'")
        .unwrap();
    let rows: Vec<[Option<String>; 3]> = rows
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let row = |field: &str, before: &str, after: &str| {
        [field, before, after].map(|text| Some(text.to_owned()))
    };
    assert_eq!(
        rows,
        [
            row("value", "null", r#""[Some(null)]""#),
            row("unit", "null", r#""[Some(null)]""#),
            row("nested", "null", r#""[Some(null)]""#),
            row("part[0].a", "null", r#""[Some(null)]""#),
            row("nested", r#""[Some(null)]""#, r#""[Some(Some(null))]""#),
            row("value", r#""[Some(null)]""#, "null"),
            row("nested", r#""[Some(Some(null))]""#, "3"),
        ]
    );
}

//! What minify decided, as JSON and as sentences.

use serde_json::{Map, Value, json};
use upmass_minify::{Count, Drop, Entry, Evidence, Kind, Minified, MinifyError, Reason, Verdict};

/// Totals, and what goes by rule.
pub fn summary(minified: &Minified) -> Value {
    let (before, after) = minified.totals();
    let dropped = minified.dropped_by().into_iter();
    let dropped: Map<_, _> = dropped.map(|(word, count)| (word.to_owned(), of(count))).collect();
    json!({
        "level": minified.level().word(),
        "before": of(before),
        "after": of(after),
        "dropped": dropped,
    })
}

/// Everything: totals, packages, and each path with its verdict and reason.
pub fn report(minified: &Minified) -> Value {
    let mut object = Map::new();
    object.insert("version".to_owned(), json!(1));
    if let Value::Object(summary) = summary(minified) {
        object.extend(summary);
    }
    let packages = minified.by_package().into_iter().map(|(name, (before, after))| {
        json!({ "package": name, "before": of(before), "after": of(after) })
    });
    object.insert("packages".to_owned(), packages.collect());
    let paths = minified.entries().map(|(entry, verdict)| path(minified, entry, verdict));
    object.insert("paths".to_owned(), paths.collect());
    Value::Object(object)
}

fn path(minified: &Minified, entry: &Entry, verdict: &Verdict) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    let path = shown(&entry.path);
    set("path", json!(path));
    set("kind", json!(kind(entry)));
    set("bytes", json!(entry.size()));
    if let Some(package) = minified.package(&entry.path) {
        set("package", json!(package));
    }
    match verdict {
        Verdict::Kept(reason) => {
            set("kept", json!(true));
            set("evidence", json!(reason.evidence.word()));
            let chain = minified.chain(&entry.path).unwrap_or_default();
            if let Some(from) = chain.get(1) {
                set("because_of", json!(shown(&from.entry.path)));
            }
            set("detail", json!(reason.detail));
        }
        Verdict::Dropped(drop) => {
            set("kept", json!(false));
            set("rule", json!(drop.word()));
            if let Drop::User(pattern) = drop {
                set("pattern", json!(pattern));
            }
            set("back", json!(drop.back(&path)));
        }
    }
    Value::Object(object)
}

/// One path, with its whole chain.
pub fn explained(minified: &Minified, absolute: &str) -> Result<Value, MinifyError> {
    let chain = minified.chain(absolute.as_bytes())?;
    let mut value = Value::Null;
    for (entry, verdict) in minified.entries().filter(|(e, _)| e.path == absolute.as_bytes()) {
        value = path(minified, entry, verdict);
    }
    let chain: Vec<Value> = chain
        .iter()
        .map(|step| {
            json!({
                "path": shown(&step.entry.path),
                "evidence": step.reason.evidence.word(),
                "detail": step.reason.detail,
            })
        })
        .collect();
    if let Value::Object(object) = &mut value {
        object.insert("chain".to_owned(), json!(chain));
    }
    Ok(value)
}

/// Why something stays, after "stays: "; `by` is the path that needs it, with a space.
pub fn sentence(reason: &Reason, by: Option<&str>) -> String {
    let by = by.unwrap_or("");
    let detail = &reason.detail;
    match reason.evidence {
        Evidence::Root => format!("root: {detail}"),
        Evidence::Basic => format!("basic: {detail}"),
        Evidence::Keep => format!("--keep {detail}"),
        Evidence::Level if detail.is_empty() => "no rule of this level drops it".to_owned(),
        Evidence::Level => detail.clone(),
        Evidence::Interpreter => format!("{by}is loaded by it"),
        Evidence::Library => format!("{by}is linked with it ({detail})"),
        Evidence::LibraryName => format!("{by}names it, and may load it ({detail})"),
        Evidence::Link => format!("{by}leads to it ({detail})"),
        Evidence::Shebang => format!("{by}is executed by it ({detail})"),
        Evidence::Word => format!("{by}has its name as a word ({detail})"),
        Evidence::PythonImport => format!("{by}imports it ({detail})"),
        Evidence::PerlUse => format!("{by}uses it ({detail})"),
        Evidence::Unit => format!("{by}starts it ({detail})"),
        Evidence::Execute => format!("{by}executes it ({detail})"),
        Evidence::UdevRule => format!("{by}runs it ({detail})"),
        Evidence::BusName => format!("{by}asks the bus for it ({detail})"),
        Evidence::NameService => format!("{by}configures it ({detail})"),
        Evidence::Pam => format!("{by}configures it ({detail})"),
        Evidence::Charset => format!("{by}converts this set ({detail})"),
        Evidence::KernelModule => format!("{by}needs it ({detail})"),
        Evidence::Firmware => format!("{by}asks for it ({detail})"),
        Evidence::Mention => format!("{by}mentions it ({detail})"),
        Evidence::MentionedDirectory => format!("{by}mentions its directory ({detail})"),
        Evidence::Companion if by.is_empty() => detail.clone(),
        Evidence::Companion => format!("{by}is needed, and it belongs to that ({detail})"),
    }
}

/// A path for people and for JSON.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

fn of(count: Count) -> Value {
    json!({ "files": count.files, "bytes": count.bytes })
}

fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        Kind::Directory => "directory",
        Kind::File { .. } => "file",
        Kind::Symlink(_) => "symlink",
        Kind::Other => "special",
    }
}

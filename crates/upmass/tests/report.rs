//! `upmass report`: what it says, and the page in a real browser.

mod common;

#[path = "common/browser.rs"]
mod browser;

use std::fs;

use browser::Browser;
use common::Place;
use serde_json::Value;

const ENTER: char = '\u{e007}';
const ESCAPE: char = '\u{e00c}';
const RIGHT: char = '\u{e014}';

/// Bytes that nothing compresses.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn write(place: &Place, path: &str, content: &[u8]) {
    let path = place.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Two releases: one file is new and large, one has changed, one is compressed, and one has a
/// name that a page must not take for its own text.
fn two_releases(place: &Place) {
    let same = noise(1, 40_000);
    let mut changed = same.clone();
    changed[20_000..20_400].copy_from_slice(&noise(2, 400));
    let packed = |seed| [b"\xfd7zXZ\0".to_vec(), noise(seed, 3000)].concat();
    for (tree, is_new) in [("one", false), ("two", true)] {
        write(place, &format!("{tree}/usr/lib/same"), &noise(9, 30_000));
        write(place, &format!("{tree}/usr/share/copy"), &noise(9, 30_000));
        write(place, &format!("{tree}/usr/lib/changed"), if is_new { &changed } else { &same });
        write(place, &format!("{tree}/boot/packed.xz"), &packed(if is_new { 4 } else { 3 }));
    }
    write(place, "two/opt/large", &noise(5, 9000));
    write(place, "two/opt/</script><b>&amp;", &noise(6, 200));
    place.release("host", "1", 1, "one");
    place.release("host", "2", 2, "two");
    place.update("host", "1", "2", "u.upm");
}

fn find<'v>(node: &'v Value, names: &[&str]) -> &'v Value {
    names.iter().fold(node, |node, name| {
        let children = node["children"].as_array().expect("it has children");
        children.iter().find(|child| child["name"] == *name).unwrap_or_else(|| panic!("no {name}"))
    })
}

fn sum(node: &Value) -> f64 {
    let parts = node["parts"].as_array().into_iter().flatten().skip(1).step_by(2);
    let children = node["children"].as_array().into_iter().flatten();
    parts.map(|part| part.as_f64().unwrap()).sum::<f64>() + children.map(sum).sum::<f64>()
}

fn main_cause(report: &Value, node: &Value) -> String {
    let parts: Vec<f64> =
        node["parts"].as_array().unwrap().iter().map(|part| part.as_f64().unwrap()).collect();
    let most = parts.chunks(2).max_by(|a, b| a[1].total_cmp(&b[1])).unwrap()[0];
    report["causes"][most as usize]["word"].as_str().unwrap().to_owned()
}

#[test]
fn of_an_update_every_byte_has_a_cause_and_every_file_a_reason() {
    let place = Place::new();
    two_releases(&place);
    for effort in ["small", "fast"] {
        let key = "keys/test.key";
        place.succeed(&[
            "update", "1", "2", "-o", "u.upm", "--key", key, "--store", "host", "--effort", effort,
        ]);
        let printed = place.succeed(&["report", "u.upm", "--store", "host", "--json"]);
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let report = &printed["report"];
        assert_eq!(
            (printed["version"].clone(), report["kind"].clone()),
            (1.into(), "update".into())
        );
        let bytes = fs::metadata(place.path("u.upm")).unwrap().len() as f64;
        let all = sum(&report["root"]);
        assert!((all - bytes).abs() < 20.0, "{effort}: {all} of {bytes}");

        let file = |path: &[&str]| {
            let node = find(&report["root"], &[&["main"][..], path].concat());
            (main_cause(report, node), sum(node), node["why"].as_str().unwrap().to_owned())
        };
        let (cause, cost, why) = file(&["opt", "large"]);
        assert_eq!((&cause[..], &why[..]), ("new", "new: made from nothing"), "{effort}");
        assert!((9000.0..9400.0).contains(&cost), "{effort}: {cost}");
        let (cause, cost, why) = file(&["usr", "lib", "changed"]);
        assert!(["new", "data"].contains(&&cause[..]), "{effort}: {cause}");
        assert_eq!(why, "made from the file that was here");
        assert!((380.0..700.0).contains(&cost), "{effort}: {cost}");
        let (cause, cost, why) = file(&["boot", "packed.xz"]);
        assert_eq!(cause, "packed", "{effort}");
        assert!(why.ends_with("while compressed (xz)") && cost > 2900.0, "{effort}: {why} {cost}");
        // What has not changed is not there.
        let lib = find(&report["root"], &["main", "usr", "lib"]);
        assert_eq!(lib["children"].as_array().unwrap().len(), 1);
    }
    let text = place.succeed(&["report", "u.upm", "--store", "host"]);
    assert!(text.starts_with("Update from 1 to 2\n"), "{text}");
    assert!(text.contains("main/opt/large: mostly new content; new: made from nothing"), "{text}");
}

#[test]
fn of_a_release_shared_content_counts_once_and_goes_with_what_has_all_of_it() {
    let place = Place::new();
    two_releases(&place);
    let printed = place.succeed(&["report", "2", "--store", "host", "--json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let root = &printed["report"]["root"];
    let usr = find(root, &["main", "usr"]);
    let same = find(usr, &["lib", "same"]);
    assert_eq!((sum(same), same["frees"].as_u64()), (15_000.0, Some(0)));
    assert_eq!(same["why"], "the same content as 1 more");
    assert_eq!(main_cause(&printed["report"], same), "data");
    // One of the two files alone frees nothing; the directory above both does.
    assert_eq!(find(usr, &["lib"])["frees"].as_u64(), Some(40_000));
    assert_eq!(usr["frees"].as_u64(), Some(70_000));
    let all = sum(root);
    assert!((all - root["frees"].as_f64().unwrap()).abs() < 5.0, "{root}");
}

#[test]
fn what_cannot_be_reported_is_told_in_one_sentence() {
    let place = Place::new();
    two_releases(&place);
    place.release("other", "1", 1, "two");
    let said = place.fail(3, &["report", "u.upm", "--store", "other"]);
    assert!(said.contains("from which this update leads"), "{said}");
    let said = place.fail(3, &["report", "3", "--store", "host"]);
    assert!(said.starts_with("no release \"3\" in the store"), "{said}");
    fs::write(place.path("cut.upm"), &fs::read(place.path("u.upm")).unwrap()[..500]).unwrap();
    let said = place.fail(3, &["report", "cut.upm", "--store", "host", "-o", "page.html"]);
    assert!(said.contains("500 bytes"), "{said}");
    let said = place.fail(3, &["inspect", "cut.upm"]);
    assert!(said.contains("500 bytes"), "{said}");
    assert!(!place.path("page.html").exists());
}

#[test]
fn the_page_works_in_a_browser_without_a_network() {
    let place = Place::new();
    two_releases(&place);
    place.succeed(&["report", "u.upm", "--store", "host", "-o", "page.html"]);
    let page = fs::read_to_string(place.path("page.html")).unwrap();
    assert!(page.contains("content=\"default-src 'none';"), "the browser would refuse to fetch");
    assert!(!page.contains("src=\"") && !page.contains("href=\""), "and there is nothing to fetch");

    let browser = Browser::open();
    browser.show(&place.path("page.html"));
    browser.wait_for("document.body.dataset.ready");
    let text = |selector: &str| {
        let body = format!("return document.querySelector({selector:?}).textContent");
        browser.run(&body).as_str().unwrap().to_owned()
    };
    let count = |selector: &str| {
        browser.run(&format!("return document.querySelectorAll({selector:?}).length")).as_u64()
    };
    // The costliest come first, in words.
    assert!(text("#top li").contains("main/opt/large"), "{}", text("#top li"));
    assert!(text("#top li").contains("new content"));
    assert!(count("#map > .leaf").unwrap() >= 3);
    // A name is a name, whatever is in it.
    assert!(text("#rows").contains("main/opt/</script><b>&amp;"));
    assert_eq!(count("b b"), Some(0));

    // Search narrows the list and dims the map.
    browser.run(
        "const s = document.getElementById('search'); s.value = 'packed.xz compressed'; s.oninput()",
    );
    assert_eq!(count("#rows tr"), Some(1));
    assert!(count("#map > .leaf.other").unwrap() >= 2);
    assert_eq!(count("#map > .leaf:not(.other)"), Some(1));
    browser.run("const s = document.getElementById('search'); s.value = ''; s.oninput()");

    // By keyboard: into the first box, along, and out again.
    browser.run("document.querySelector('#map > [tabindex=\"0\"]').focus()");
    let way = || text("#way").split_whitespace().collect::<Vec<_>>().join(" ");
    let outside = way();
    browser.press(ENTER);
    let inside = way();
    assert!(inside.len() > outside.len(), "{inside} is within {outside}");
    let focused = || browser.run("return document.activeElement.getAttribute('aria-label')");
    let first = focused();
    assert!(first.as_str().unwrap().contains(" bytes, mostly "), "{first}");
    browser.press(ESCAPE);
    assert_eq!(way(), outside);
    let before = focused();
    browser.press(RIGHT);
    assert_ne!(focused(), before);

    // Light and dark.
    let ground = || browser.run("return getComputedStyle(document.body).backgroundColor");
    browser.prefer("light");
    let light = ground();
    browser.prefer("dark");
    assert_ne!(ground(), light);
    assert_eq!(browser.complaints(), Vec::<String>::new());

    // A release has a page too.
    place.succeed(&["report", "2", "--store", "host", "-o", "release.html"]);
    browser.show(&place.path("release.html"));
    browser.wait_for("document.body.dataset.ready");
    browser.run("const g = document.getElementById('group'); g.value = 'component'; g.onchange()");
    assert_eq!(count("#rows tr"), Some(1));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

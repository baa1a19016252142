//! Derivations that Nix itself has written, of random graphs: nothing is built.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;
use upmass_format::derivations::Derivations;

use super::*;

/// What one derivation is: its place in the lists below, and the earlier ones that it needs.
#[derive(Debug, Clone)]
struct Node {
    name: usize,
    kind: usize,
    needs: Vec<(prop::sample::Index, prop::sample::Index)>,
    text: String,
}

const NAMES: [&str; 6] = ["glibc-2.36", "glibc-2.37", "source", "x", "unit-a.service", "a+b_1?=-2"];
const HASHES: [(&str, &str, &str); 4] = [
    ("recursive", "sha256", "1111111111111111111111111111111111111111111111111111"),
    ("flat", "sha256", "0ssi1wpaf7plaswqqjwigppsg5fyh99vdlb9kzl7c9lng89ndq1i"),
    ("flat", "md5", "3y8bwfr609h3lh9ch0izcqq7fl"),
    ("recursive", "sha1", "1nywldwckpgnr8mk1bq8sm7h5x8hr9xp"),
];

fn node() -> impl Strategy<Value = Node> {
    let needs = prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 0..5);
    (0..NAMES.len(), 0..9usize, needs, "[ -~\n\t]{0,40}")
        .prop_map(|(name, kind, needs, text)| Node { name, kind, needs, text })
}

/// As an expression, with a list of all of them as the last one.
fn expression(nodes: &[Node]) -> String {
    let mut text = "rec {\n".to_owned();
    let outputs = |node: &Node| match node.kind {
        4 | 5 => vec!["dev", "out"],
        6 => vec!["out", "lib", "bin"],
        _ => vec!["out"],
    };
    for (index, node) in nodes.iter().enumerate() {
        let needs: Vec<String> = node
            .needs
            .iter()
            .filter(|_| index > 0)
            .map(|(which, output)| {
                let which = which.index(index);
                let output = output.get(&outputs(&nodes[which])[..]).to_owned();
                format!("${{n{which}.{output}}}/{output}")
            })
            .collect();
        let quoted = node.text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        let quoted = quoted.replace('\n', "\\n").replace('\t', "\\t");
        let more = match node.kind {
            // Two of the same content are fetched in different ways.
            0 | 1 => {
                let (mode, algorithm, hash) = HASHES[node.name % HASHES.len()];
                format!(
                    "outputHashMode = \"{mode}\"; outputHashAlgo = \"{algorithm}\"; \
                     outputHash = \"{hash}\"; way = \"{index}\";"
                )
            }
            2 => format!("file = builtins.toFile \"f\" \"{quoted}\";"),
            3 => "own = builtins.placeholder \"out\"; __structuredAttrs = true;".to_owned(),
            _ => String::new(),
        };
        let outputs = outputs(node).join("\" \"");
        writeln!(
            text,
            "n{index} = derivation {{ name = \"{}\"; system = \"any\"; builder = \"/bin/sh\"; \
             outputs = [ \"{outputs}\" ]; args = [ \"-c\" \"{quoted} {}\" ]; needs = \"{}\"; {more} }};",
            NAMES[node.name],
            needs.first().map_or("", |need| need),
            needs.join(":"),
        )
        .unwrap();
    }
    let all: Vec<String> = (0..nodes.len()).map(|index| format!("${{n{index}}}")).collect();
    write!(
        text,
        "all = derivation {{ name = \"all\"; system = \"any\"; builder = \"x\"; all = \"{}\"; }};\n}}.all",
        all.join(" ")
    )
    .unwrap();
    text
}

/// The derivation of an expression, and all that it needs, in a store of its own.
fn instantiate(expression: &str) -> (TempDir, String) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("nix.conf"), "build-users-group =\n").unwrap();
    let ran = Command::new("nix-instantiate")
        .args(["--expr", expression, "--store"])
        .arg(dir.path().join("chroot"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", dir.path())
        .env("NIX_CONF_DIR", dir.path())
        .output()
        .expect("Nix is not installed: run ./setup, which installs nix-bin");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let path = String::from_utf8(ran.stdout).unwrap();
    (dir, path.trim().rsplit('/').next().unwrap().to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn names_are_those_that_nix_gives(nodes in prop::collection::vec(node(), 1..12)) {
        let (dir, all) = instantiate(&expression(&nodes));
        let chroot = Chroot::new(Some(&dir.path().join("chroot"))).unwrap();
        let mut collector = Collector::new(&chroot, Path::new("/nix/store"), "/nix/store");
        collector.add(&all).unwrap();
        // What is added was compared with what Nix says, so nothing may be missing.
        let mut expected = BTreeMap::new();
        for (name, made) in &collector.made {
            let made = made.as_ref().unwrap_or_else(|| panic!("{name}: {:?}", collector.made));
            expected.insert(made.index, made.outputs.values().cloned().collect::<Vec<_>>());
        }
        let bytes = collector.writer.finish();
        let read = Derivations::read(&bytes[..]).unwrap();
        prop_assert_eq!(
            read.names().collect::<Vec<_>>(),
            expected.into_values().flatten().collect::<Vec<_>>()
        );
        // Nothing that follows is in it.
        for name in read.names() {
            let is_there = bytes.windows(32).any(|window| window == &name.as_bytes()[..32]);
            prop_assert!(!is_there, "{}", name);
        }
    }
}

#[test]
fn a_derivation_whose_inputs_are_not_there_is_left_out_with_all_that_need_it() {
    let node =
        |needs: &[usize]| Node { name: 0, kind: 8, needs: Vec::new(), text: format!("{needs:?}") };
    let (dir, all) = instantiate(&expression(&[node(&[0]), node(&[1])]));
    let store = dir.path().join("chroot/nix/store");
    let one = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path());
    let one = one.filter(|path| path.to_str().unwrap().ends_with("glibc-2.36.drv")).min().unwrap();
    fs::remove_file(one).unwrap();
    let chroot = Chroot::new(Some(&dir.path().join("chroot"))).unwrap();
    let mut collector = Collector::new(&chroot, Path::new("/nix/store"), "/nix/store");
    collector.add(&all).unwrap();
    assert_eq!(collector.made.len(), 3);
    assert_eq!(collector.made.values().flatten().count(), 1);
}

//! Nix closures, built by Nix itself in a chroot store of their own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use upmass_format::derivations::Derivations;
use upmass_format::tree::{Child, Directory, Node};
use upmass_format::{Name, TreeId, TreePath};
use upmass_import::{
    DescriptionError, ImportError, ImportOptions, ImportedClosure, ImportedRelease, NixError,
    NixLabel, NixSource, ReferencesFrom, import_nix, import_release, read_description,
};
use upmass_store::Store;

#[test]
fn a_closure_has_the_components_and_references_that_nix_has() {
    let nix = Nix::with_system();
    let imported = nix.import(&[&nix.root]);
    assert_eq!(imported.references_from, ReferencesFrom::Database);
    assert_eq!(imported.warnings, [] as [String; 0]);
    assert_eq!(references(&imported), nix.references());
    let short: BTreeMap<&str, Vec<&str>> = imported
        .components
        .iter()
        .map(|component| {
            let references = component.references.iter().map(|name| plain(name)).collect();
            (plain(&component.name), references)
        })
        .collect();
    let mut system = short["system"].clone();
    system.sort_unstable();
    assert_eq!(system, ["app-2", "file", "link", "system"]);
    assert_eq!(short["lib-1.0"], [] as [&str; 0]);
    assert_eq!(imported.components[imported.roots[0]].name, base(&nix.root));
    for component in &imported.components {
        let expected = match plain(&component.name) {
            "file" | "link" => "/nix/store".to_owned(),
            _ => format!("/nix/store/{}", component.name),
        };
        assert_eq!(component.install.to_string(), expected);
    }
}

#[test]
fn without_a_database_the_contents_give_the_same() {
    let nix = Nix::with_system();
    let asked = nix.import(&[&nix.root]);
    nix.hide_database();
    let scanned = nix.import(&[&nix.root]);
    assert_eq!(scanned.references_from, ReferencesFrom::Contents);
    assert_eq!(scanned.warnings, [] as [String; 0]);
    assert_eq!(trees(&scanned), trees(&asked));
    assert_eq!(scanned.roots, asked.roots);
    assert!(!nix.chroot.join("nix/var/nix/db").exists(), "asking must not make a database");
}

#[test]
fn a_damaged_database_is_told_and_the_contents_are_used() {
    let nix = Nix::with_system();
    let asked = nix.import(&[&nix.root]);
    fs::write(nix.chroot.join("nix/var/nix/db/db.sqlite"), "no database").unwrap();
    let scanned = nix.import(&[&nix.root]);
    assert_eq!(scanned.references_from, ReferencesFrom::Contents);
    assert_eq!(scanned.warnings.len(), 1);
    let told = "the Nix database was not used, references come from contents: `nix-store` said: ";
    assert!(scanned.warnings[0].starts_with(told), "{}", scanned.warnings[0]);
    assert_eq!(trees(&scanned), trees(&asked));
}

#[test]
fn trees_hold_what_nix_hashes_and_nothing_else() {
    let nix = Nix::with_system();
    let imported = nix.import(&[&nix.root]);
    let trees = imported.components.iter().map(|c| (plain(&c.name), nix.tree(c.imported.tree)));
    let trees: BTreeMap<&str, Directory> = trees.collect();

    let app = &trees["app-2"];
    assert_eq!(mode(app, ""), 0o555);
    assert_eq!(mode(app, "bin/app"), 0o555);
    assert_eq!(mode(app, "share/data"), 0o444);
    assert!(matches!(leaf(app, "bin/alias"), Node::Symlink(to) if to.ends_with(b"-app-2/bin/app")));

    let link = imported.components.iter().find(|c| plain(&c.name) == "link").unwrap();
    let tree = &trees["link"];
    assert_eq!(tree.children.keys().collect::<Vec<_>>(), [&Name::new(&*link.name).unwrap()]);
    assert_eq!(mode(tree, ""), 0o755);
    assert!(matches!(leaf(tree, &link.name), Node::Symlink(to) if to.starts_with(b"/nix/store/")));

    let file = imported.components.iter().find(|c| plain(&c.name) == "file").unwrap();
    let content = fs::read(nix.chroot.join("nix/store").join(&file.name)).unwrap();
    assert_eq!(leaf(&trees["file"], &file.name).file_size(), Some(content.len() as u64));
    assert_eq!(mode(&trees["file"], &file.name), 0o444);
    assert_eq!((file.imported.files, file.imported.bytes), (1, content.len() as u64));
}

#[test]
fn neither_optimisation_nor_a_careless_copy_changes_a_tree() {
    let nix = Nix::with_system();
    let plain = nix.import(&[&nix.root]);
    nix.run("nix-store", ["--optimise"]);
    let twins = nix.chroot.join(nix.root.strip_prefix("/").unwrap()).join("twins");
    let links = std::os::unix::fs::MetadataExt::nlink(&fs::metadata(twins.join("a")).unwrap());
    assert!(links > 1, "Nix has linked equal files");
    assert_eq!(trees(&nix.import(&[&nix.root])), trees(&plain));

    let copy = nix.dir.path().join("copy");
    copy_carelessly(&nix.chroot.join("nix/store"), &copy.join("nix/store"));
    let copied = nix.import_from(&copy, &[&nix.root]).unwrap();
    assert_eq!(references(&copied), nix.references());
    assert_eq!(trees(&copied), trees(&plain));
}

#[test]
fn a_store_path_that_has_changed_since_it_was_registered_is_refused() {
    let nix = Nix::with_system();
    let paths = nix.run("nix-store", ["--query", "--requisites", nix.root.to_str().unwrap()]);
    for changed in ["lib-1.0", "file"] {
        let path = paths.lines().find(|path| plain(&base(Path::new(path))) == changed).unwrap();
        let file =
            nix.on_host(Path::new(path)).join(if changed == "file" { "" } else { "lib/libx.so" });
        let file = PathBuf::from(file.to_str().unwrap().trim_end_matches('/'));
        let content = fs::read(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, content.to_ascii_uppercase()).unwrap();
        match nix.import_from(&nix.chroot, &[&nix.root]) {
            Err(ImportError::Nix(NixError::Changed { path: found, expected, found: now })) => {
                assert_eq!(found, Path::new(path));
                let hash = nix.run("nix-store", ["--query", "--hash", path]);
                let hash =
                    nix.run("nix-hash", ["--type", "sha256", "--to-base16", &hash.trim()[7..]]);
                assert_eq!(expected.to_string(), hash.trim());
                assert_eq!(expected.len, now.len);
            }
            other => panic!("expected that {path} has changed, got {other:?}"),
        }
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        nix.import(&[&nix.root]);
    }
}

#[test]
fn derivations_come_with_a_closure_that_asks_for_them() {
    let nix = Nix::with_system();
    let (roots, store_root) = (vec![nix.root.clone()], Some(nix.chroot.clone()));
    let source = NixSource { roots, store_root, derivations: true, ..NixSource::default() };
    let imported = nix.try_import(&source).unwrap();
    assert_eq!(imported.warnings, [] as [String; 0]);
    let component = imported.derivations.expect("they were asked for");
    assert_eq!(component.name, "nix-derivations");
    assert_eq!(component.install.to_string(), "/nix/derivations");
    let object = match leaf(&nix.tree(component.imported.tree), "derivations") {
        Node::Object { id, .. } => *id,
        other => panic!("{other:?}"),
    };
    let derivations = Derivations::read(nix.store.object_reader(object).unwrap()).unwrap();
    let mut made: Vec<String> = derivations.names().collect();
    made.sort();
    let names = |closure: &ImportedClosure| -> Vec<String> {
        closure.components.iter().map(|component| component.name.clone()).collect()
    };
    let plain = nix.import(&[&nix.root]);
    assert_eq!(made, names(&plain), "all that is built is in the closure here");
    assert_eq!(plain.derivations, None);

    // Without that of the library, nothing follows that was built with it.
    let library = nix.run("nix-store", ["--query", "--deriver", &lib_path(&plain)]);
    fs::remove_file(nix.on_host(Path::new(library.trim()))).unwrap();
    let told = "derivations of Nix store paths were asked for, but none here makes any of these 5 \
                paths: keep them (`keep-derivations`), or take \"derivations\" out";
    assert_eq!(message(nix.try_import(&source)), told);
    nix.hide_database();
    let told = "derivations of Nix store paths were asked for, but there is no Nix database, or no \
                Nix to ask it: take \"derivations\" out";
    assert_eq!(message(nix.try_import(&source)), told);
}

/// The store path of the library.
fn lib_path(closure: &ImportedClosure) -> String {
    let library = closure.components.iter().find(|component| plain(&component.name) == "lib-1.0");
    format!("/nix/store/{}", library.unwrap().name)
}

#[test]
fn labels_come_from_the_database_alone() {
    let nix = Nix::with_system();
    let labels = [NixLabel::Deriver, NixLabel::Signatures].into();
    let (roots, store_root) = (vec![nix.root.clone()], Some(nix.chroot.clone()));
    let source = NixSource { roots, store_root, labels, ..NixSource::default() };
    for component in nix.try_import(&source).unwrap().components {
        let path = format!("/nix/store/{}", component.name);
        let deriver = nix.run("nix-store", ["--query", "--deriver", &path]);
        let label = ("nix.deriver".to_owned(), base(Path::new(deriver.trim())));
        assert_eq!(component.labels, BTreeMap::from([label]), "nobody has signed anything");
    }
    let plain = nix.import(&[&nix.root]);
    assert!(plain.components.iter().all(|component| component.labels.is_empty()));
    nix.hide_database();
    let expected = "labels of Nix store paths were asked for, but there is no database, or no Nix \
                    to ask it: take \"labels\" out";
    assert_eq!(message(nix.try_import(&source)), expected);
}

#[test]
fn a_root_may_be_named_in_many_ways() {
    let nix = Nix::with_system();
    let result = nix.dir.path().join("result");
    symlink(&nix.root, &result).unwrap();
    let chain = nix.dir.path().join("chain");
    symlink("result", &chain).unwrap();
    let profile = nix.chroot.join("nix/var/nix/profiles/system");
    symlink("system-1-link", &profile).unwrap();
    symlink(&nix.root, nix.chroot.join("nix/var/nix/profiles/system-1-link")).unwrap();
    let ways = [
        nix.root.clone(),
        nix.on_host(&nix.root),
        nix.root.join("sw/app"),
        nix.chroot.join("../chroot/nix/./store/").join(nix.root.file_name().unwrap()),
        nix.chroot.join("nix/store/../var/nix/profiles/system"),
        PathBuf::from("/nix/var/nix/gcroots/../profiles/system"),
        result,
        chain,
        profile,
        PathBuf::from("/nix/var/nix/profiles/system"),
    ];
    let ways: Vec<&Path> = ways.iter().map(PathBuf::as_path).collect();
    let imported = nix.import(&ways);
    assert_eq!(imported.roots.len(), ways.len());
    for index in &imported.roots {
        assert_eq!(imported.components[*index].name, base(&nix.root));
    }
}

#[test]
fn a_root_that_is_none_is_refused_with_the_reason() {
    let nix = Nix::with_system();
    let dir = nix.dir.path();
    let file = dir.join("file");
    fs::write(&file, "").unwrap();
    let to_file = dir.join("to-file");
    symlink(&file, &to_file).unwrap();
    let dangling = dir.join("dangling");
    symlink("/nix/missing", &dangling).unwrap();
    let circle = dir.join("circle");
    symlink("circle", &circle).unwrap();
    let missing = Path::new("/nix/store/00000000000000000000000000000000-none");
    let derivation =
        nix.run("nix-store", ["--query".as_ref(), "--deriver".as_ref(), nix.root.as_os_str()]);
    let derivation = Path::new(derivation.trim());
    let (d, c) = (dir.display(), nix.chroot.display());
    let expected = "expected /nix/store/<hash>-<name>, or a link to one";
    check(&nix, &[], "no Nix store path is named: expected at least one, such as ./result");
    check(&nix, &[&dir.join("none")], &format!("{d}/none does not exist"));
    check(&nix, &[&dir.join("no/../ne")], &format!("{d}/no/../ne does not exist"));
    check(&nix, &[&file], &format!("{d}/file is not a Nix store path: {expected}"));
    check(
        &nix,
        &[&to_file],
        &format!("{d}/to-file is not a Nix store path: {expected} (it leads to {d}/file)"),
    );
    check(&nix, &[&dangling], &format!("{d}/dangling does not exist (it leads to /nix/missing)"));
    check(
        &nix,
        &[&circle],
        &format!("{d}/circle is a chain of more than 40 links: it may be a circle"),
    );
    check(
        &nix,
        &[missing],
        &format!(
            "{m} leads to {c}{m}, which does not exist: build it, or name the directory above \
             /nix/store as the store to read",
            m = missing.display()
        ),
    );
    check(
        &nix,
        &[derivation],
        &format!(
            "{p} is the derivation {p}: name what it builds (`nix-store --realise`)",
            p = derivation.display()
        ),
    );

    let source = NixSource { roots: vec![nix.on_host(&nix.root)], ..NixSource::default() };
    assert_eq!(
        message(nix.try_import(&source)),
        format!(
            "{p} is in the Nix store below {c}: name {c} as the store to read, or / if it is to \
             be installed at this very path",
            p = nix.on_host(&nix.root).display()
        )
    );
}

#[test]
fn what_nix_would_not_store_is_refused() {
    let nix = Nix::with_system();
    let root = nix.on_host(&nix.root);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
    let message = message(nix.import_from(&nix.chroot, &[&nix.root]));
    let expected = format!(
        "{}/s in the Nix store is a socket: expected only directories, files and links; the \
         store was changed without Nix (`nix-store --verify --check-contents`)",
        root.display()
    );
    assert_eq!(message, expected);
}

#[test]
fn a_store_directory_elsewhere_is_where_its_components_are_installed() {
    let nix = Nix::new();
    let own = nix.dir.path().join("own");
    let out = nix
        .command("nix-build")
        .env("NIX_STORE_DIR", own.join("store"))
        .env("NIX_STATE_DIR", own.join("var"))
        .env("NIX_LOG_DIR", own.join("log"))
        .args(["-A", "system", "--no-out-link"])
        .arg(nix.dir.path().join("expressions.nix"))
        .output();
    let root = PathBuf::from(nix.checked(out).trim());
    let imported =
        nix.try_import(&NixSource { roots: vec![root.clone()], ..NixSource::default() }).unwrap();
    assert_eq!(imported.references_from, ReferencesFrom::Contents);
    assert_eq!(imported.components.len(), 5);
    let system = &imported.components[imported.roots[0]];
    assert_eq!(system.install.to_string(), root.display().to_string());
}

#[test]
fn a_description_makes_a_release_of_closures() {
    let nix = Nix::with_system();
    symlink(&nix.root, nix.dir.path().join("result")).unwrap();
    let library = nix.run("nix-store", ["--query", "--requisites", nix.root.to_str().unwrap()]);
    let library = library.lines().find(|path| path.ends_with("-lib-1.0")).unwrap();
    let text = format!(
        r#"
        machine = "m"
        version = "1"
        fallback = "main"
        [[system]]
        name = "main"
        source = {{ nix = "result", store = "chroot" }}
        kernel = "/nix/store/*-system/link"
        initrd = "/nix/store/*-file"
        [[component]]
        name = "library"
        source = {{ nix = ["{library}"], store = "chroot" }}
        [[component]]
        name = "data"
        install = "/data"
        source = {{ dir = "conf" }}
        references = ["library"]
        [[system]]
        name = "small"
        components = ["data"]
        "#
    );
    let release = nix.describe(&text).unwrap().release;
    let names: Vec<&str> = release.components.iter().map(|c| &*c.name).collect();
    let expected = nix.references();
    let mut expected: Vec<&str> = expected.keys().map(String::as_str).chain(["data"]).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);

    let plain_name = |index: &usize| match names[*index] {
        "data" => "data",
        base => plain(base),
    };
    let [main, small] = &*release.systems else { panic!("{:?}", release.systems) };
    assert_eq!(main.roots.iter().map(plain_name).collect::<Vec<_>>(), ["system"]);
    assert_eq!(release.closure(main).len(), 5);
    assert_eq!(small.roots.iter().map(plain_name).collect::<Vec<_>>(), ["data"]);
    let mut closure: Vec<&str> = release.closure(small).iter().map(plain_name).collect();
    closure.sort_unstable();
    assert_eq!(closure, ["data", "lib-1.0"]);
    let boot: Vec<(&str, String)> =
        main.boot.iter().map(|file| (plain_name(&file.component), file.path.to_string())).collect();
    assert_eq!(boot[0], ("app-2", "bin/app".to_owned()));
    assert_eq!(boot[1].0, "file");
    assert!(boot[1].1.ends_with("-file"));

    let wrong = text.replace(library, "none");
    let error = nix.describe(&wrong).unwrap_err().to_string();
    let d = nix.dir.path().display();
    assert_eq!(
        error,
        format!("{d}/release.toml:10: component \"library\": {d}/none does not exist")
    );

    // Two stores that do not agree on what a store path is.
    let copy = nix.dir.path().join("copy");
    copy_carelessly(&nix.chroot.join("nix/store"), &copy.join("nix/store"));
    fs::write(copy.join(&library[1..]).join("lib/libx.so"), "another").unwrap();
    let wrong = text.replace(
        &format!("[\"{library}\"], store = \"chroot\""),
        &format!("[\"{library}\"], store = \"copy\""),
    );
    let error = nix.describe(&wrong).unwrap_err().to_string();
    let name = base(Path::new(library));
    assert_eq!(
        error,
        format!(
            "{d}/release.toml:5: component \"main\" has a component \"{name}\" that differs from \
             the one of component \"library\": a release has one component of a name"
        )
    );
}

/// Nix in a directory of its own, and a store of upmass beside it.
struct Nix {
    dir: TempDir,
    chroot: PathBuf,
    root: PathBuf,
    store: Store,
}

impl Nix {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let chroot = dir.path().join("chroot");
        let store = Store::open_or_create(&dir.path().join("upmass")).unwrap();
        for made in ["home", "conf", "chroot"] {
            fs::create_dir(dir.path().join(made)).unwrap();
        }
        let conf = "sandbox = false\nbuild-users-group =\nsubstituters =\n\
                    sandbox-paths = /bin /usr /lib? /lib64?\n";
        fs::write(dir.path().join("conf/nix.conf"), conf).unwrap();
        fs::write(dir.path().join("expressions.nix"), EXPRESSIONS).unwrap();
        Self { dir, chroot, root: PathBuf::new(), store }
    }

    fn with_system() -> Self {
        let mut nix = Self::new();
        let expressions = nix.dir.path().join("expressions.nix");
        let arguments = ["-A", "system", "--no-out-link"].map(OsStr::new);
        let out = nix.run("nix-build", arguments.into_iter().chain([expressions.as_os_str()]));
        nix.root = PathBuf::from(out.trim());
        nix
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir.path().join("home"));
        command.env("NIX_CONF_DIR", self.dir.path().join("conf"));
        command
    }

    fn run<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> String {
        let mut command = self.command(program);
        self.checked(command.arg("--store").arg(&self.chroot).args(arguments).output())
    }

    fn checked(&self, output: io::Result<std::process::Output>) -> String {
        let output = match output {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                panic!("Nix is not installed: run ./setup, which installs nix-bin")
            }
            other => other.unwrap(),
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn import(&self, roots: &[&Path]) -> ImportedClosure {
        self.import_from(&self.chroot, roots).unwrap()
    }

    fn import_from(
        &self,
        chroot: &Path,
        roots: &[&Path],
    ) -> upmass_import::Result<ImportedClosure> {
        let roots = roots.iter().map(|root| root.to_path_buf()).collect();
        self.try_import(&NixSource {
            roots,
            store_root: Some(chroot.to_owned()),
            ..NixSource::default()
        })
    }

    fn try_import(&self, source: &NixSource) -> upmass_import::Result<ImportedClosure> {
        import_nix(&self.store, source, &ImportOptions::default(), &|_| {})
    }

    fn describe(&self, text: &str) -> Result<ImportedRelease, DescriptionError> {
        let path = self.dir.path().join("release.toml");
        fs::write(&path, text).unwrap();
        import_release(&self.store, &read_description(&path)?, &|_| {})
    }

    /// What Nix says of each store path in the closure of the system.
    fn references(&self) -> BTreeMap<String, Vec<String>> {
        let ask = |what: &str, path: &str| {
            let out = self.run("nix-store", ["--query", what, path]);
            let mut names: Vec<String> = out.lines().map(|line| base(Path::new(line))).collect();
            names.sort();
            names
        };
        ask("--requisites", self.root.to_str().unwrap())
            .into_iter()
            .map(|name| {
                let references = ask("--references", &format!("/nix/store/{name}"));
                (name, references)
            })
            .collect()
    }

    fn on_host(&self, path: &Path) -> PathBuf {
        self.chroot.join(path.strip_prefix("/").unwrap())
    }

    fn hide_database(&self) {
        fs::remove_dir_all(self.chroot.join("nix/var/nix/db")).unwrap();
    }

    fn tree(&self, id: TreeId) -> Directory {
        self.store.tree(id).unwrap().0
    }
}

impl Drop for Nix {
    /// Store paths are not writable, which keeps all but root from removing them.
    fn drop(&mut self) {
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.dir.path()).status();
    }
}

fn check(nix: &Nix, roots: &[&Path], expected: &str) {
    assert_eq!(message(nix.import_from(&nix.chroot, roots)), expected);
}

fn message(result: upmass_import::Result<ImportedClosure>) -> String {
    match result {
        Err(ImportError::Nix(error)) => error.to_string(),
        other => panic!("expected an error of Nix, got {other:?}"),
    }
}

fn references(closure: &ImportedClosure) -> BTreeMap<String, Vec<String>> {
    closure.components.iter().map(|c| (c.name.clone(), c.references.clone())).collect()
}

/// All that a release has of a closure.
fn trees(closure: &ImportedClosure) -> Vec<(&str, String, &[String], TreeId)> {
    closure
        .components
        .iter()
        .map(|c| (&*c.name, c.install.to_string(), &*c.references, c.imported.tree))
        .collect()
}

fn base(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn plain(base: &str) -> &str {
    &base[33..]
}

fn leaf<'a>(tree: &'a Directory, path: &str) -> &'a Node {
    match tree.get(&TreePath::new(path).unwrap()) {
        Some(Child::Leaf(_, node)) => node,
        other => panic!("{path} is {other:?}"),
    }
}

fn mode(tree: &Directory, path: &str) -> u16 {
    match tree.get(&TreePath::new(path).unwrap()) {
        None if path.is_empty() => tree.meta.mode,
        Some(Child::Directory(directory)) => directory.meta.mode,
        Some(Child::Leaf(meta, _)) => meta.mode,
        None => panic!("{path} is not there"),
    }
}

/// As `cp -r` does with another umask: links stay, modes do not.
fn copy_carelessly(from: &Path, to: &Path) {
    let meta = from.symlink_metadata().unwrap();
    if meta.is_symlink() {
        symlink(from.read_link().unwrap(), to).unwrap();
    } else if meta.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in from.read_dir().unwrap() {
            let name = entry.unwrap().file_name();
            copy_carelessly(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::write(to, fs::read(from).unwrap()).unwrap();
        let mode = if meta.permissions().mode() & 0o100 == 0 { 0o640 } else { 0o750 };
        fs::set_permissions(to, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// A library, a program that needs it, store paths that are a file and a link, and a system
/// that refers to all of them and to itself. The hash of the library occurs in `app` across
/// 256 KiB, where the scan reads on.
const EXPRESSIONS: &str = r#"
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
    PATH = "/bin:/usr/bin";
  };
in rec {
  lib = build "lib-1.0" ''
    mkdir -p $out/lib
    echo "the library" > $out/lib/libx.so
  '';
  app = build "app-2" ''
    mkdir -p $out/bin $out/share
    printf '#!/bin/sh\n' > $out/bin/app
    chmod +x $out/bin/app
    ln -s $out/bin/app $out/bin/alias
    head -c 262120 /dev/zero > $out/share/data
    printf '%s' "${lib}" >> $out/share/data
  '';
  file = build "file" ''
    echo "a file that mentions ${lib} and more than fits into a tree: $out" > $out
  '';
  link = build "link" ''
    ln -s ${app}/bin/app $out
  '';
  system = build "system" ''
    mkdir -p $out/sw $out/twins $out/names
    ln -s ${app} $out/sw/app
    ln -s ${link} $out/link
    touch $out/names/$(basename ${file})
    for twin in a b; do
      head -c 1000 /dev/zero | tr '\0' x > $out/twins/$twin
    done
    echo $out > $out/self
  '';
}
"#;

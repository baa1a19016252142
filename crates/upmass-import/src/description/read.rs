//! From the text of a description to its meaning.

use std::path::{Path, PathBuf};

use toml::de::DeTable;
use upmass_format::release::{InstallPath, LABEL_VERSION};

use super::error::{Fault, Problem};
use super::minify::read_minify;
use super::resolve::{self, NamedComponent, NamedSystem};
use super::service::read_service;
use super::table::{Table, Value, line_at};
use super::values::{boot, changes, labels, name, nix_labels, oci, options, text};
use super::{ComponentDescription, Description, Source, SystemDescription};
use crate::{NixSource, OciLocation, TarSource};

pub(super) fn read(path: &Path) -> Result<Description, Fault> {
    let bytes = std::fs::read(path).map_err(|source| Problem::Read { source })?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Description, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Fault::at(line, Problem::Syntax { message: "it has bytes that are not UTF-8".to_owned() })
    })?;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        Fault {
            line,
            problem: Box::new(Problem::Syntax { message: error.message().replace('\n', ", ") }),
        }
    })?;
    let dir = path.parent().unwrap_or(Path::new(""));
    Reader { path, dir }.file(&Table::file(text, table.get_ref()))
}

struct Reader<'p> {
    path: &'p Path,
    /// What paths in the file are relative to.
    dir: &'p Path,
}

impl Reader<'_> {
    fn file(&self, file: &Table<'_>) -> Result<Description, Fault> {
        file.only(&[
            "machine",
            "version",
            "counter",
            "fallback",
            "labels",
            "minify",
            "component",
            "service",
            "system",
        ])?;
        let machine = name(&file.require("machine", "machine = \"qemu-x86_64\"")?)?;
        let version = name(&file.require("version", "version = \"1.0\"")?)?;
        let counter = file.get("counter").map_or(Ok(1), |value| value.number(u64::MAX))?;
        let labels = labels(file)?;
        if let Some(value) = file.get("labels").filter(|_| labels.contains_key(LABEL_VERSION)) {
            let why = "has a \"version\", which is a key of its own: remove it there";
            let place = "the file".to_owned();
            return Err(Fault::at(value.line, Problem::NotHere { place, key: "labels", why }));
        }

        let minify = file.get("minify").map(|value| read_minify(&value, self.dir)).transpose()?;
        let mut components = Vec::new();
        for value in tables(file, "component")? {
            components.push(self.component(&value)?);
        }
        let services = tables(file, "service")?;
        let services = services.iter().map(read_service).collect::<Result<Vec<_>, _>>()?;
        let mut systems = Vec::new();
        for value in tables(file, "system")? {
            systems.push(self.system(&value, &mut components)?);
        }
        if systems.is_empty() {
            let key = "system";
            let example = "a table [[system]] with at least a name and a source";
            return Err(Problem::Missing { place: file.place.clone(), key, example }.into());
        }
        resolve::distinct(
            "component",
            components.iter().map(|c| (&c.component.name, c.component.line)),
        )?;
        resolve::distinct(
            "system",
            systems.iter().map(|system| (&system.system.name, system.line)),
        )?;
        resolve::one_standard_input(&components)?;
        resolve::distinct("service", services.iter().map(|service| (&service.name, service.line)))?;
        let services = resolve::services_of(services, &mut components)?;

        let fallback = resolve::fallback(file, &systems)?;
        let systems = resolve::systems_of(systems, &components, &services)?;
        let components = resolve::components_of(components)?;
        resolve::all_used(&components, &services, &systems)?;
        let path = self.path.to_owned();
        Ok(Description {
            path,
            machine,
            version,
            counter,
            labels,
            components,
            services,
            systems,
            fallback,
            minify,
            init_program: None,
        })
    }

    fn component<'a>(&self, value: &Value<'a>) -> Result<NamedComponent<'a>, Fault> {
        let table = value.table("a component".to_owned(), TABLE)?;
        let name = name(&table.require("name", "name = \"root\"")?)?;
        let table = table.named(format!("component \"{name}\""));
        table.only(&["name", "install", "source", "mtimes", "owners", "references"])?;
        let source = self.source(&table)?;
        if matches!(source, Source::Nix(_)) {
            table
                .refuse("install", "has no meaning beside a Nix source: store paths know theirs")?;
            let why = "has no meaning beside a Nix source: they are found in the store paths";
            table.refuse("references", why)?;
        }
        let options = options(&table, &source)?;
        let install = match table.get("install") {
            Some(value) => {
                let expected = "an absolute path without . and .., such as \"/\"";
                let text = value.string(expected)?;
                // A path is a directory with and without a slash at its end.
                let path = if text.len() > 1 { text.trim_end_matches('/') } else { text };
                InstallPath::new(path.as_bytes())
                    .ok_or_else(|| value.wrong(expected, format!("{text:?}")))?
            }
            None => root(),
        };
        let is_placed = table.get("install").is_some();
        let references = match table.get("references") {
            Some(value) => value.list("a list of component names")?,
            None => Vec::new(),
        };
        let line = value.line;
        let component =
            ComponentDescription { name, line, source, install, options, references: Vec::new() };
        Ok(NamedComponent { component, references, is_placed })
    }

    fn system<'a>(
        &self,
        value: &Value<'a>,
        all: &mut Vec<NamedComponent<'a>>,
    ) -> Result<NamedSystem<'a>, Fault> {
        let table = value.table("a system".to_owned(), TABLE)?;
        let name_value = table.require("name", "name = \"main\"")?;
        let name = name(&name_value)?;
        let table = table.named(format!("system \"{name}\""));
        table.only(&[
            "name",
            "components",
            "source",
            "mtimes",
            "owners",
            "kernel",
            "initrd",
            "dtb",
            "cmdline",
            "etc",
            "var",
            "services",
            "labels",
        ])?;
        let line = value.line;
        let components = match table.get("components") {
            Some(list) => {
                let why = "has no meaning beside \"components\": keep one of the two";
                table.refuse("source", why)?;
                let why = "belongs to a component or a system with a source";
                table.refuse("mtimes", why)?;
                table.refuse("owners", why)?;
                let names = list.list("a list of component names")?;
                if names.is_empty() {
                    return Err(list.wrong("at least one component name", "an empty list"));
                }
                names
            }
            None => {
                if table.get("source").is_none() {
                    let example = "components = [\"…\"], or source = { dir = \"rootfs\" }";
                    table.require("components", example)?;
                }
                let source = self.source(&table)?;
                let options = options(&table, &source)?;
                let component = ComponentDescription {
                    name: name.clone(),
                    line,
                    source,
                    install: root(),
                    options,
                    references: Vec::new(),
                };
                all.push(NamedComponent { component, references: Vec::new(), is_placed: true });
                vec![name_value]
            }
        };
        let command_line = match table.get("cmdline") {
            Some(value) => text(&value, "one line of text")?,
            None => String::new(),
        };
        let labels = labels(&table)?;
        let boot = boot(&table, self.dir)?;
        let changes = changes(&table)?;
        let system = SystemDescription {
            name,
            labels,
            components: Vec::new(),
            boot,
            command_line,
            services: Vec::new(),
            changes,
        };
        let services = match table.get("services") {
            Some(value) => value.list("a list of service names")?,
            None => Vec::new(),
        };
        Ok(NamedSystem { line, system, components, services })
    }

    fn source(&self, table: &Table<'_>) -> Result<Source, Fault> {
        let value = table.require("source", "source = { dir = \"rootfs\" }")?;
        let table = value.table(format!("\"source\" of {}", table.place), SOURCE)?;
        table.only(&[
            "dir",
            "tar",
            "nix",
            "oci",
            "store",
            "labels",
            "derivations",
            "ref",
            "platform",
            "max_size",
        ])?;
        let kinds: Vec<Value<'_>> =
            ["dir", "tar", "nix", "oci"].iter().filter_map(|key| table.get(key)).collect();
        let [kind] = kinds.as_slice() else {
            let found = match kinds.as_slice() {
                [] => "none of them".to_owned(),
                several => {
                    let keys = several.iter().map(|value| format!("\"{}\"", value.key()));
                    keys.collect::<Vec<_>>().join(" and ")
                }
            };
            return Err(value.wrong(SOURCE, found));
        };
        if kind.key() != "nix" {
            table.refuse("store", "has no meaning without \"nix\"")?;
            table.refuse("derivations", "has no meaning without \"nix\"")?;
        }
        if kind.key() != "oci" {
            table.refuse("ref", "has no meaning without \"oci\"")?;
            table.refuse("platform", "has no meaning without \"oci\"")?;
            table.refuse("max_size", "has no meaning without \"oci\"")?;
        }
        if !matches!(kind.key(), "nix" | "oci") {
            table.refuse("labels", "has no meaning without \"nix\" or \"oci\"")?;
        }
        Ok(match kind.key() {
            "dir" => Source::Directory(self.path(kind, "the path of a directory")?),
            "tar" if kind.string("the path of an archive").is_ok_and(|text| text == "-") => {
                Source::Tar(TarSource::Stdin)
            }
            "tar" => Source::Tar(TarSource::File(self.path(kind, "the path of an archive")?)),
            "oci" => {
                let location = OciLocation::Path(self.path(kind, "the path of an image")?);
                let (source, labels) = oci(&table, location)?;
                Source::Oci(source, labels)
            }
            _ => {
                let expected = "store paths or links to them, such as \"result\"";
                let values = kind.one_or_more();
                if values.is_empty() {
                    return Err(kind.wrong(expected, "an empty list"));
                }
                let roots = values.iter().map(|value| self.path(value, expected));
                let roots = roots.collect::<Result<_, _>>()?;
                let store_root = table
                    .get("store")
                    .map(|value| self.path(&value, "the path of the directory above /nix/store"))
                    .transpose()?;
                let derivations = table.get("derivations").map(|value| value.boolean());
                let derivations = derivations.transpose()?.unwrap_or(false);
                let labels = nix_labels(&table)?;
                Source::Nix(NixSource { roots, store_root, labels, derivations })
            }
        })
    }

    fn path(&self, value: &Value<'_>, expected: &str) -> Result<PathBuf, Fault> {
        let text = value.string(expected)?;
        if text.is_empty() || text.contains('\0') {
            return Err(value.wrong(expected, format!("{text:?}")));
        }
        Ok(self.dir.join(text))
    }
}

/// The tables `[[key]]`.
fn tables<'a>(file: &Table<'a>, key: &'static str) -> Result<Vec<Value<'a>>, Fault> {
    let expected = format!("tables that begin with [[{key}]], in two brackets");
    file.get(key).map_or(Ok(Vec::new()), |value| value.list(&expected))
}

fn root() -> InstallPath {
    InstallPath::new(b"/").expect("the root is absolute")
}

const TABLE: &str = "a table";
const SOURCE: &str = "one of { dir = \"…\" }, { tar = \"…\" }, { nix = [\"…\"] }, { oci = \"…\" }";

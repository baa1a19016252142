//! Names in a description become what they name, wherever that is described.

use std::collections::BTreeMap;

use super::error::{Fault, Problem};
use super::service::{self, NamedService, ServiceDescription};
use super::suggest::nearest;
use super::table::{Table, Value};
use super::{ComponentDescription, Source, SystemDescription};
use crate::TarSource;

/// A component, and the names it refers to, which may be described further below.
pub(super) struct NamedComponent<'a> {
    pub(super) component: ComponentDescription,
    pub(super) references: Vec<Value<'a>>,
    /// Whether the description says where it goes.
    pub(super) is_placed: bool,
}

/// A system, and the names of its components.
pub(super) struct NamedSystem<'a> {
    pub(super) line: usize,
    pub(super) system: SystemDescription,
    pub(super) components: Vec<Value<'a>>,
    /// Names of services.
    pub(super) services: Vec<Value<'a>>,
}

/// The index of the fallback system.
pub(super) fn fallback(file: &Table<'_>, systems: &[NamedSystem<'_>]) -> Result<usize, Fault> {
    let names = || systems.iter().map(|system| &system.system.name);
    match file.get("fallback") {
        Some(value) => {
            let name = value.string("the name of a system")?;
            names()
                .position(|known| known == name)
                .ok_or_else(|| no_such(&value, &file.place, "fallback", "system", name, names()))
        }
        None if systems.len() == 1 => Ok(0),
        None => Err(Problem::NoFallback { systems: names().cloned().collect() }.into()),
    }
}

/// The systems, with the indexes of their components.
pub(super) fn systems_of(
    systems: Vec<NamedSystem<'_>>,
    components: &[NamedComponent<'_>],
    services: &[ServiceDescription],
) -> Result<Vec<SystemDescription>, Fault> {
    let resolve = |named: NamedSystem<'_>| {
        let mut system = named.system;
        let place = format!("system \"{}\"", system.name);
        system.components = look_up(&named.components, &place, "components", components)?;
        let known = || services.iter().map(|service| &service.name);
        for value in &named.services {
            let name = value.string("the name of a service")?;
            let index = known().position(|known| known == name);
            let missing = || no_such(value, &place, "services", "service", name, known());
            system.services.push(index.ok_or_else(missing)?);
        }
        for (service, value) in system.services.iter().zip(&named.services) {
            let needs = services[*service].run.after();
            let is_there = |needed: &&String| {
                system.services.iter().any(|index| services[*index].name == **needed)
            };
            if let Some(needed) = needs.iter().find(|needed| !is_there(needed)) {
                let expected =
                    format!("the service \"{needed}\" too, which one of them starts after");
                return Err(value.wrong(expected, "a list without it"));
            }
        }
        Ok(system)
    };
    systems.into_iter().map(resolve).collect()
}

/// The services, with the indexes of their images. An image goes where services look for it, unless its
/// description says otherwise.
pub(super) fn services_of(
    services: Vec<NamedService<'_>>,
    components: &mut [NamedComponent<'_>],
) -> Result<Vec<ServiceDescription>, Fault> {
    let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
    let mut described = Vec::new();
    for named in services {
        let place = format!("service \"{}\"", named.name);
        let [image] = look_up(std::slice::from_ref(&named.image), &place, "image", components)?[..]
        else {
            unreachable!("one name is looked up")
        };
        let component = &mut components[image];
        let name = &component.component.name;
        if !matches!(component.component.source, Source::Oci(..)) {
            let expected = "a component with a source { oci = \"…\" }";
            return Err(named.image.wrong(expected, format!("{name:?} from another source")));
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if !name.chars().all(is_plain) || name.starts_with('.') {
            let expected = "an image whose name has letters, digits, _, . and - only";
            return Err(named.image.wrong(expected, format!("{name:?}")));
        }
        if component.is_placed && component.component.install != service::image_path(name) {
            let expected = format!(
                "an image that is installed at {}, which is the default",
                service::image_path(name)
            );
            return Err(named.image.wrong(expected, component.component.install.to_string()));
        }
        component.component.install = service::image_path(name);
        for needed in named.run.after() {
            if *needed == named.name || !names.contains(needed) {
                let expected = "names of other services".to_owned();
                let (key, found) = ("after".to_owned(), format!("{needed:?}"));
                return Err(Fault::at(named.line, Problem::Value { place, key, expected, found }));
            }
        }
        let (name, line, run) = (named.name, named.line, named.run);
        described.push(ServiceDescription { name, line, image, run });
    }
    Ok(described)
}

/// The components, with the indexes of those they refer to.
pub(super) fn components_of(
    components: Vec<NamedComponent<'_>>,
) -> Result<Vec<ComponentDescription>, Fault> {
    let resolve = |named: &NamedComponent<'_>| {
        let mut component = named.component.clone();
        let place = format!("component \"{}\"", component.name);
        component.references = look_up(&named.references, &place, "references", &components)?;
        Ok(component)
    };
    components.iter().map(resolve).collect()
}

fn look_up(
    names: &[Value<'_>],
    place: &str,
    key: &'static str,
    components: &[NamedComponent<'_>],
) -> Result<Vec<usize>, Fault> {
    let known = || components.iter().map(|named| &named.component.name);
    let look_up = |value: &Value<'_>| {
        let name = value.string("the name of a component")?;
        known()
            .position(|known| known == name)
            .ok_or_else(|| no_such(value, place, key, "component", name, known()))
    };
    names.iter().map(look_up).collect()
}

fn no_such<'n>(
    value: &Value<'_>,
    place: &str,
    key: &'static str,
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'n String>,
) -> Fault {
    let known: Vec<String> = known.cloned().collect();
    let suggestion = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    let (place, name) = (place.to_owned(), name.to_owned());
    Fault::at(value.line, Problem::NoSuch { place, key, what, name, known, suggestion })
}

/// Refuses a name that comes twice.
pub(super) fn distinct<'n>(
    what: &'static str,
    names: impl Iterator<Item = (&'n String, usize)>,
) -> Result<(), Fault> {
    let mut seen = BTreeMap::new();
    for (name, line) in names {
        if let Some(first) = seen.insert(name, line) {
            let (first, line) = (first.min(line), first.max(line));
            return Err(Fault::at(line, Problem::Twice { what, name: name.clone(), first }));
        }
    }
    Ok(())
}

/// Refuses a second component that would read standard input.
pub(super) fn one_standard_input(components: &[NamedComponent<'_>]) -> Result<(), Fault> {
    let reads =
        |named: &&NamedComponent<'_>| named.component.source == Source::Tar(TarSource::Stdin);
    match components.iter().filter(reads).nth(1) {
        Some(NamedComponent { component, .. }) => {
            let place = format!("component \"{}\"", component.name);
            let why = "is standard input, which another component reads already";
            Err(Fault::at(component.line, Problem::NotHere { place, key: "source", why }))
        }
        None => Ok(()),
    }
}

/// Refuses a component that no system needs.
pub(super) fn all_used(
    components: &[ComponentDescription],
    services: &[ServiceDescription],
    systems: &[SystemDescription],
) -> Result<(), Fault> {
    let runs = |index| systems.iter().any(|system| system.services.contains(&index));
    if let Some(index) = (0..services.len()).find(|index| !runs(*index)) {
        let (name, line) = (services[index].name.clone(), services[index].line);
        return Err(Fault::at(line, Problem::UnusedService { name }));
    }
    let mut used = vec![false; components.len()];
    let mut next: Vec<usize> =
        systems.iter().flat_map(|system| system.components.iter().copied()).collect();
    next.extend(services.iter().map(|service| service.image));
    while let Some(index) = next.pop() {
        if !std::mem::replace(&mut used[index], true) {
            next.extend(&components[index].references);
        }
    }
    match components.iter().zip(used).find(|(_, used)| !used) {
        Some((component, _)) => {
            let name = component.name.clone();
            Err(Fault::at(component.line, Problem::Unused { name }))
        }
        None => Ok(()),
    }
}

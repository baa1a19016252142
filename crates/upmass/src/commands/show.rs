//! `upmass show`

use serde_json::json;
use upmass_format::release::{Changes, Release, System};

use crate::arguments::Show;
use crate::failure::Failure;
use crate::{Outcome, output, releases, services};

pub fn run(arguments: &Show) -> Outcome {
    let store = super::open(&arguments.store)?;
    let (id, release) = releases::find(&store, &arguments.release)?;
    let name = |index: &usize| release.components[*index].name.clone();
    if arguments.json.json {
        let components: Vec<_> = release
            .components
            .iter()
            .map(|component| {
                json!({
                    "name": component.name,
                    "install": component.install.to_string(),
                    "tree": component.tree.to_string(),
                    "references": component.references.iter().map(name).collect::<Vec<_>>(),
                    "labels": component.labels,
                })
            })
            .collect();
        let systems: Vec<_> = release
            .systems
            .iter()
            .map(|system| {
                Ok(json!({
                    "name": system.name,
                    "labels": system.labels,
                    "components": system.roots.iter().map(name).collect::<Vec<_>>(),
                    "boot": boot(&release, system),
                    "cmdline": system.command_line,
                    "etc": system.changes.etc.word(),
                    "var": system.changes.var.word(),
                    "services": services::of_system(&store, &release, system)?,
                }))
            })
            .collect::<Result<_, Failure>>()?;
        return output::json(json!({
            "release": id.to_string(),
            "machine": release.machine,
            "counter": release.counter,
            "labels": release.labels,
            "fallback": release.systems[release.fallback].name,
            "components": components,
            "systems": systems,
        }));
    }
    output::line(&format!("release   {id}"))?;
    output::line(&format!("machine   {}, counter {}", release.machine, release.counter))?;
    for (key, value) in &release.labels {
        output::line(&format!("{key:9} {value}"))?;
    }
    for (index, system) in release.systems.iter().enumerate() {
        let fallback = if index == release.fallback { " (fallback)" } else { "" };
        output::line(&format!("\nsystem {}{fallback}", system.name))?;
        for file in boot(&release, system) {
            let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
            output::line(&format!("  {:8} {}:{}", text("kind"), text("component"), text("path")))?;
        }
        output::line(&format!("  cmdline  {}", system.command_line))?;
        let Changes { etc, var } = system.changes;
        output::line(&format!("  changes  /etc {}, /var {}", etc.word(), var.word()))?;
        for index in release.closure(system) {
            let component = &release.components[index];
            let tree = &component.tree.short();
            output::line(&format!("  {tree}  {} at {}", component.name, component.install))?;
            for service in services::of_component(&store, &release, index)? {
                let text = |key: &str| services::text(&service, key).to_owned();
                let (name, image, runtime) = (text("name"), text("image"), text("runtime"));
                output::line(&format!("    service {name} of {image}, run by {runtime}"))?;
            }
            for (key, value) in &component.labels {
                output::line(&format!("    {key} {value}"))?;
            }
        }
    }
    Ok(())
}

fn boot(release: &Release, system: &System) -> Vec<serde_json::Value> {
    let file = |file: &upmass_format::release::BootFile| {
        json!({
            "kind": file.kind.word(),
            "component": release.components[file.component].name,
            "path": format!("/{}", file.path),
        })
    };
    system.boot.iter().map(file).collect()
}

//! Shows the members of files: how they are packed, what the recipe costs, what packing takes.
//!
//! `members [-v] FILE…`; with `-v` each member, else sums by recipe.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use upmass_member::recognise::{Limits, find_members};
use upmass_member::{memory, repack, unpack};

#[derive(Default)]
struct Sum {
    members: u64,
    packed: u64,
    plain: u64,
    recipe: u64,
    memory: u64,
    time: Duration,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files: Vec<String> = std::env::args().skip(1).collect();
    let is_verbose = files.first().is_some_and(|first| first == "-v");
    if is_verbose {
        files.remove(0);
    }
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let (mut bytes, mut without) = (0, 0);
    let begin = Instant::now();
    for file in &files {
        let content = std::fs::read(file)?;
        bytes += content.len() as u64;
        let members = find_members(&content, &Limits::default());
        without += usize::from(members.is_empty());
        for member in &members {
            let start = member.offset as usize;
            let packed = &content[start..start + member.lengths.packed as usize];
            let mut plain = Vec::new();
            unpack(&member.recipe, member.lengths, &mut &packed[..], &mut plain)?;
            let now = Instant::now();
            repack(&member.recipe, member.lengths, &mut &plain[..], &mut std::io::sink())?;
            let time = now.elapsed();
            let recipe = member.recipe.to_bytes().len() as u64;
            let needs = memory(&member.recipe, member.lengths);
            if is_verbose {
                let lengths = member.lengths;
                let name = &member.recipe;
                println!(
                    "{file}\t{start}\t{}\t{}\t{name}\t{recipe}",
                    lengths.packed, lengths.plain
                );
            }
            let name = member.recipe.to_string();
            let name =
                if name.contains("corrections") { "deflate with corrections" } else { &name };
            let sum = sums.entry(name.to_owned()).or_default();
            sum.members += 1;
            sum.packed += member.lengths.packed;
            sum.plain += member.lengths.plain;
            sum.recipe += recipe;
            sum.memory = sum.memory.max(needs);
            sum.time += time;
        }
    }
    for (name, sum) in &sums {
        println!(
            "{name}: {} members, {} packed, {} plain, {} recipe, {:.1} MiB memory, {:.1} MB/s",
            sum.members,
            sum.packed,
            sum.plain,
            sum.recipe,
            sum.memory as f64 / f64::from(1 << 20),
            sum.plain as f64 / 1e6 / sum.time.as_secs_f64(),
        );
    }
    let time = begin.elapsed().as_secs_f64();
    println!("{} files, {bytes} bytes, {without} without members, {time:.1} s", files.len());
    Ok(())
}

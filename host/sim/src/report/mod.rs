//! `report`: what runs found, as a page to read. One file, no script, nothing fetched; the plots are SVG.

mod curves;
mod plot;

use std::{collections::BTreeSet, fmt::Write as _};

use curves::Plot;

use crate::{
    Cell, Check, Merged, Record, Table, merge,
    table::{is_text, number},
};

const STYLE: &str = include_str!("style.css");

/// The page. `about`: what a scenario is, by its name.
///
/// # Errors
/// A plot can't be drawn.
pub(crate) fn page(records: Vec<Record>, about: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut scenarios: Vec<(String, Vec<Merged>)> = Vec::new();
    for group in merge(records) {
        let name = group.records()[0].scenario.clone();
        match scenarios.iter_mut().find(|(other, _)| *other == name) {
            Some((_, groups)) => groups.push(group),
            None => scenarios.push((name, vec![group])),
        }
    }
    let mut html = String::new();
    let _ = write!(
        html,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>MUTE, simulated</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <style>\n{STYLE}</style></head><body>\n<header><h1>MUTE, simulated</h1>\n\
         <p>Networks of MUTE's real routers on a virtual clock: what was asked of them, what they did, and whether that is good enough. \
         The same seeds give the same numbers.</p></header>\n"
    );
    overview(&mut html, &scenarios);
    for (name, groups) in &scenarios {
        scenario(&mut html, name, about(name), groups)?;
    }
    html.push_str("</body></html>\n");
    Ok(html)
}

/// What there is, and what does not hold.
fn overview(html: &mut String, scenarios: &[(String, Vec<Merged>)]) {
    html.push_str("<nav class=\"scroll\"><table><tr><th>Scenario<th class=\"n\">Runs<th>Checks</tr>\n");
    for (name, groups) in scenarios {
        let runs: usize = groups.iter().map(|group| group.records().len()).sum();
        let checks: Vec<Check> = groups.iter().flat_map(Merged::checks).collect();
        let (anchor, verdict) = (anchor(name), verdict(&checks));
        let name = escape(name);
        let _ = writeln!(html, "<tr><td><a href=\"#{anchor}\">{name}</a><td class=\"n\">{runs}<td>{verdict}</tr>");
    }
    html.push_str("</table></nav>\n");
}

fn verdict(checks: &[Check]) -> String {
    let hold = checks.iter().filter(|check| check.passed).count();
    match (hold, checks.len()) {
        (_, 0) => "<span class=\"soft\">none</span>".to_owned(),
        (1, 1) => "<span class=\"good\">✓ holds</span>".to_owned(),
        (0, 1) => "<span class=\"bad\">✗ fails</span>".to_owned(),
        (hold, all) if hold == all => format!("<span class=\"good\">✓ all {all} hold</span>"),
        (hold, all) => format!("<span class=\"bad\">✗ {} of {all} fail</span>", all - hold),
    }
}

fn scenario(html: &mut String, name: &str, about: Option<String>, groups: &[Merged]) -> Result<(), String> {
    let _ = writeln!(html, "<section id=\"{}\"><h2>{}</h2>", anchor(name), escape(name));
    if let Some(about) = about {
        let _ = writeln!(html, "<p>{}</p>", escape(&about));
    }
    let labels = labels(groups);
    let plots = curves::plots(groups, &labels);
    if !plots.is_empty() {
        html.push_str("<div class=\"plots\">\n");
        for plot in &plots {
            figure(html, plot)?;
        }
        html.push_str("</div>\n");
    }
    for (group, label) in groups.iter().zip(&labels) {
        let checks = group.checks();
        let label = if label.is_empty() { "what it found" } else { label };
        let open = if groups.len() == 1 { " open" } else { "" };
        let _ = writeln!(html, "<details{open}><summary>{} — {}</summary>", escape(label), verdict(&checks));
        ran(html, name, group);
        check_table(html, &checks);
        table(html, "Figures", &figures(group));
        for found in group.tables() {
            table(html, &found.name, &found);
        }
        html.push_str("</details>\n");
    }
    html.push_str("</section>\n");
    Ok(())
}

/// For each group the parameters in which it differs from another.
fn labels(groups: &[Merged]) -> Vec<String> {
    let parameters = |group: &Merged| group.records()[0].parameters.clone();
    let names: BTreeSet<String> = groups.iter().flat_map(|group| parameters(group).into_keys()).collect();
    let differ = |name: &&String| {
        let mut values = groups.iter().map(|group| parameters(group).get(*name).cloned());
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let names: Vec<String> = names.iter().filter(differ).cloned().collect();
    let label = |group: &Merged| {
        let own = parameters(group);
        let shown = names.iter().filter_map(|name| Some(format!("{name} {}", shown(own.get(name)?))));
        shown.collect::<Vec<_>>().join(", ")
    };
    groups.iter().map(label).collect()
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// How it was run.
fn ran(html: &mut String, name: &str, group: &Merged) {
    let seeds: Vec<u64> = group.records().iter().map(|record| record.seed).collect();
    let seeds = match seeds.as_slice() {
        [first, .., last] if *last - *first + 1 == seeds.len() as u64 => format!("seeds {first} to {last}"),
        [seed] => format!("seed {seed}"),
        seeds => format!("seeds {}", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")),
    };
    let parameters = &group.records()[0].parameters;
    let parameters: Vec<String> = parameters.iter().map(|(name, value)| format!("{name} {}", shown(value))).collect();
    let _ = writeln!(
        html,
        "<p class=\"soft\"><code>mute sim {}</code>, {seeds}; {}</p>",
        escape(name),
        escape(&parameters.join(" · "))
    );
}

fn check_table(html: &mut String, checks: &[Check]) {
    if checks.is_empty() {
        return;
    }
    html.push_str("<h3>Checks</h3>\n<div class=\"scroll\"><table>\n");
    let (fail, hold): (Vec<&Check>, Vec<&Check>) = checks.iter().partition(|check| !check.passed);
    for check in fail.into_iter().chain(hold) {
        let (class, mark) = if check.passed { ("good", "✓ holds") } else { ("bad", "✗ fails") };
        let (name, detail) = (escape(&check.name), escape(&check.detail));
        let _ = writeln!(html, "<tr><td class=\"{class}\">{mark}<td>{name}<td class=\"soft\">{detail}</tr>");
    }
    html.push_str("</table></div>\n");
}

/// Means, with intervals where there are several seeds.
fn figures(group: &Merged) -> Table {
    let merged = group.figures();
    if group.records().len() > 1 {
        return merged;
    }
    let rows = merged.rows.into_iter().map(|row| row.into_iter().enumerate());
    let rows = rows.map(|row| row.filter(|(column, _)| [0, 1, 5].contains(column)).map(|(_, cell)| cell).collect());
    Table { rows: rows.collect(), ..Table::new("", &["figure", "value", "unit"]) }
}

fn table(html: &mut String, name: &str, table: &Table) {
    if table.rows.is_empty() {
        return;
    }
    let class = |column: usize| if is_text(table, column) { "" } else { " class=\"n\"" };
    let _ = writeln!(html, "<h3>{}</h3>\n<div class=\"scroll\"><table><tr>", escape(name));
    for (column, head) in table.columns.iter().enumerate() {
        let _ = write!(html, "<th{}>{}", class(column), escape(head));
    }
    html.push_str("</tr>\n");
    for row in &table.rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let text = match cell {
                Cell::Number(value) => number(*value),
                Cell::Text(text) => escape(text),
            };
            let _ = write!(html, "<td{}>{text}", class(column));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table></div>\n");
}

fn figure(html: &mut String, plot: &Plot) -> Result<(), String> {
    let drawn = plot::svg(plot).map_err(|error| format!("the plot {:?} can't be drawn: {error}", plot.name))?;
    let name = escape(&plot.name);
    // The numbers are in the tables; readers of the page by ear get the plot's name.
    let drawn = drawn.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{name}\" "), 1);
    let drawn = drawn.split_once("?>").map_or(drawn.as_str(), |(_, svg)| svg);
    let _ = writeln!(html, "<figure><figcaption>{name}</figcaption>{drawn}<ul class=\"legend\">");
    for (place, curve) in plot.curves.iter().enumerate() {
        let (colour, mark) = plot::look(place);
        let curve = escape(&curve.name);
        let _ = writeln!(html, "<li><span style=\"color:{colour}\" aria-hidden=\"true\">{mark}</span> {curve}</li>");
    }
    html.push_str("</ul></figure>\n");
    Ok(())
}

fn anchor(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// Records may come from anywhere, and so may what they say.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(scenario: &str, nodes: u64, seed: u64, share: f64) -> Record {
        let mut record = Record::new(scenario, &serde_json::json!({ "nodes": nodes, "delay": 5 }), seed);
        record.at_least("share", "", share, 0.5);
        let mut table = Table::new("rows <i>", &["what", "n"]);
        table.row(["<script>alert(1)</script>".into(), share.into()]);
        record.tables.push(table);
        record.series("reach & cost", "one", ["nodes", "share"], vec![[nodes as f64, share]]);
        record
    }

    fn html(records: Vec<Record>) -> String {
        page(records, |name| Some(format!("about {name}"))).expect("it is drawn")
    }

    #[test]
    fn a_page_says_what_holds_and_what_fails() {
        let page = html(vec![record("a", 100, 1, 0.9), record("a", 100, 2, 0.3), record("b", 100, 1, 0.7)]);
        assert!(page.contains("✗ fails</span></tr>") && page.contains("✓ holds</span></tr>"), "{page}");
        assert!(page.contains("about a") && page.contains("seeds 1 to 2") && page.contains("with 1 of 2 seeds"));
        assert_eq!(page.matches("<svg ").count(), 2);
        assert_eq!(page.matches("<details open>").count(), 2);
    }

    #[test]
    fn groups_are_named_by_what_differs() {
        let page = html(vec![record("a", 100, 1, 0.9), record("a", 1000, 1, 0.8)]);
        assert!(page.contains("<summary>nodes 100 —") && page.contains("<summary>nodes 1000 —"), "{page}");
        assert_eq!(page.matches("<svg ").count(), 1, "one plot over all sizes");
        assert_eq!(page.matches("<circle").count(), 2);
    }

    #[test]
    fn nothing_in_a_record_is_markup() {
        let mut hostile = record("<img src=x>", 100, 1, 0.9);
        hostile.check("\"><script>", false, "</td><script>");
        hostile.series("</figure><script>", "<b>", ["<i>", "</text><script>"], vec![[1.0, 2.0]]);
        let page = html(vec![hostile]);
        for markup in ["<script", "<img", "<b>", "<i>"] {
            assert!(!page.contains(markup), "{markup}");
        }
    }
}

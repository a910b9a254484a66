//! The commands: `mute webserve …`.

use crate::Webserve;
use crate::fetch::{Page, Sink, fetch};
use mute_plugin::{Call, Command, Commands, Error, Result};
use serde_json::json;
use std::rc::Rc;

/// All commands.
pub(crate) fn all() -> Commands<Webserve> {
    let publish = Command::new("publish", "publishes a folder as a web site, at an address of its own")
        .example("mute webserve publish ~/site --name home")
        .required("folder", "the folder; it is only read, and hidden files in it are not shown")
        .optional("name", "what you call the site; else as the folder is called");
    let list = Command::new("list", "lists your sites").example("mute webserve list");
    let remove = Command::new("remove", "unpublishes a site; its address is gone for ever")
        .example("mute webserve remove home")
        .required("name", "the site");
    let fetch = Command::new("fetch", "prints a page of a site, or saves it")
        .example("mute webserve fetch mute1…/index.html")
        .required("page", "the site's address, and the page's path if it is not the first")
        .optional("output", "save it under this name in the downloads folder, as for pictures")
        .flag("head", "only say what is there");
    Commands::new().add(publish, do_publish).add(list, do_list).add(remove, do_remove).add(fetch, do_fetch)
}

async fn do_publish(webserve: Rc<Webserve>, mut call: Call) -> Result<()> {
    let folder = call.arguments.required("folder")?;
    let name = call.arguments.get("name").unwrap_or(folder);
    let address = webserve.publish(name, folder).await?;
    let shown = json!({ "name": name, "address": address, "folder": folder });
    call.output.result(address.to_string(), &shown).await
}

async fn do_list(webserve: Rc<Webserve>, mut call: Call) -> Result<()> {
    let sites = webserve.sites().await?;
    if sites.is_empty() {
        return call.output.text("no sites yet; `mute webserve publish FOLDER` makes one").await;
    }
    for site in sites {
        let state = if site.address.is_none() {
            "not served, see the log"
        } else if !site.has_folder {
            "its folder can not be read"
        } else {
            "served"
        };
        let at = site.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let shown = json!({
            "name": site.name, "address": site.address, "folder": site.folder, "since_s": site.since_s,
            "served": site.address.is_some(), "has_folder": site.has_folder,
        });
        call.output.result(format!("{} {at} {state}", site.name), &shown).await?;
    }
    Ok(())
}

async fn do_remove(webserve: Rc<Webserve>, mut call: Call) -> Result<()> {
    let name = call.arguments.required("name")?;
    webserve.remove(name).await?;
    call.output.result(format!("{name} is no longer published"), &json!({ "name": name, "removed": true })).await
}

async fn do_fetch(_: Rc<Webserve>, mut call: Call) -> Result<()> {
    let page: Page = call.arguments.required("page")?.parse()?;
    let sink = match (call.arguments.get("output"), call.arguments.flag("head")) {
        (Some(_), true) => return Err(Error::invalid("--head has nothing to save")),
        (Some(name), false) => Sink::File(name.to_owned()),
        (None, true) => Sink::Nowhere,
        (None, false) => Sink::Text,
    };
    fetch(page, sink, &mut call.output).await
}

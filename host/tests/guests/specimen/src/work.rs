//! What a plugin is for.

use mute_plugin::futures::future::join;
use mute_plugin::prelude::*;

use crate::Specimen;

const PROTOCOL: &str = "echo/1";
const CHUNK: usize = 64 * 1024;

/// Sends back what comes, on every channel of every connection.
pub async fn echo(identity: Identity, stop: &Stop) -> Result<()> {
    let mut incoming = identity.listen(PROTOCOL)?;
    while let Some(Some(connection)) = stop.or(incoming.next()).await {
        spawn(async move {
            let mut channels = connection.accept();
            while let Some(channel) = channels.next().await {
                spawn(async move {
                    if let Err(error) = echo_channel(channel).await {
                        mute_plugin::log::write(1, &format!("echo: {}", error.code()));
                    }
                });
            }
        });
    }
    Ok(())
}

async fn echo_channel(channel: Channel) -> Result<()> {
    let (mut writer, mut reader) = channel.split();
    while let Some(bytes) = reader.read(CHUNK).await? {
        writer.write_vec(bytes).await?;
    }
    writer.finish().await
}

pub async fn address(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let identity = Identity::open("echo")?;
    call.output.text(identity.address().to_string()).await
}

pub async fn names(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    call.output.json(&Identity::names()).await
}

async fn connect(call: &Call) -> Result<Connection> {
    let to = call.arguments.required("to")?.parse().map_err(|_| Error::invalid("not an address"))?;
    let identity = Identity::ephemeral()?;
    identity.connect(to, &ConnectOptions::new(PROTOCOL).bulk()).await
}

/// Byte `n` of what is sent.
fn pattern(n: usize) -> u8 {
    (n % 251) as u8
}

pub async fn transfer(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let total: usize = call.arguments.parsed("bytes")?.unwrap_or_default();
    let connection = connect(&call).await?;
    let (mut writer, mut reader) = connection.open().await?.split();
    let send = async {
        let mut sent = 0;
        while sent < total {
            let end = total.min(sent + CHUNK);
            writer.write_vec((sent..end).map(pattern).collect()).await?;
            sent = end;
        }
        writer.finish().await
    };
    let receive = async {
        let mut received = 0;
        while let Some(bytes) = reader.read(CHUNK).await? {
            if bytes.iter().enumerate().any(|(n, byte)| *byte != pattern(received + n)) {
                return Err(Error::internal("the echo is wrong"));
            }
            received += bytes.len();
        }
        Ok(received)
    };
    let (sent, received) = join(send, receive).await;
    sent?;
    call.output.json(&serde_json::json!({ "received": received? })).await
}

/// Drops its writer in the middle: the echo must not take that for the end, nor may we get one.
pub async fn cut(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let connection = connect(&call).await?;
    let (mut writer, mut reader) = connection.open().await?.split();
    writer.write_all(b"half").await?;
    drop(writer);
    let end = loop {
        match reader.read(CHUNK).await {
            Ok(Some(_)) => {}
            Ok(None) => break "whole",
            Err(_) => break "broken",
        }
    };
    call.output.text(end).await
}

pub async fn shout(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    call.output.progress("shouting", 1, Some(2), "lines").await?;
    while let Some(bytes) = call.input.read(CHUNK).await? {
        call.output.text(String::from_utf8_lossy(&bytes).to_uppercase()).await?;
    }
    Ok(())
}

pub async fn wait(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    call.output.text("waiting").await?;
    std::future::pending().await
}

pub async fn store(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let bytes: usize = call.arguments.parsed("bytes")?.unwrap_or_default();
    let key = call.arguments.required("key")?;
    let mut batch = storage::Batch::new();
    batch.put(&format!("{key}/small"), &1)?;
    batch.put(&format!("{key}/large"), &"x".repeat(bytes))?;
    batch.commit().await?;
    let (used, quota) = storage::usage();
    call.output.json(&serde_json::json!({ "used": used, "quota": quota })).await
}

/// What each interface answers: a code, or 0.
pub async fn probe(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let code = |result: Result<()>| result.err().map_or(0, |error| error.code());
    let routing = code(Identity::open("probe").map(drop));
    let storage = code(storage::put("probe", &1).await);
    let folders = code(folder::Folder::open("probe").map(drop));
    let names = Identity::names().len() + folder::granted().len();
    let random = code(mute_plugin::random::bytes(64 * 1024).map(drop));
    let too_random = code(mute_plugin::random::bytes(64 * 1024 + 1).map(drop));
    let found = serde_json::json!({
        "routing": routing, "storage": storage, "folders": folders, "names": names,
        "random": random, "too-random": too_random, "quota": storage::usage().1,
    });
    call.output.json(&found).await
}

pub async fn file(_: Rc<Specimen>, mut call: Call) -> Result<()> {
    let folder = folder::Folder::open(call.arguments.required("folder")?)?;
    let path = call.arguments.get("path").unwrap_or_default().to_owned();
    let target = call.arguments.get("target").unwrap_or_default().to_owned();
    let op = call.arguments.required("op")?.to_owned();
    let said = match op.as_str() {
        "read" => {
            let bytes = folder.open_file(&path, false).await?.read(0, None).read_to_end(1 << 24).await?;
            format!("{} bytes, the last {:?}", bytes.len(), bytes.last())
        }
        "write" => {
            let file = folder.open_file(&path, true).await?;
            let mut writer = file.write(0);
            for chunk in 0..40_usize {
                writer.write_vec((0..CHUNK).map(|n| pattern(chunk * CHUNK + n)).collect()).await?;
            }
            writer.finish().await?;
            file.sync().await?;
            "written".to_owned()
        }
        "cut" => {
            let file = folder.open_file(&path, true).await?;
            let mut writer = file.write(0);
            writer.write_all(b"half").await?;
            drop(writer);
            "cut".to_owned()
        }
        "list" => {
            let mut paths = Vec::new();
            let mut walk = folder.walk();
            while let Some(entry) = walk.next().await? {
                paths.push(entry.path);
            }
            paths.sort();
            paths.join(" ")
        }
        "watch" => {
            let mut changes = folder.changes();
            call.output.text("watching").await?;
            changes.next().await.ok_or_else(|| Error::closed("no change will come"))?
        }
        "move" => {
            folder.rename(&path, &target).await?;
            "moved".to_owned()
        }
        "make" => {
            folder.create_folder(&path).await?;
            "made".to_owned()
        }
        "remove" => {
            folder.remove(&path).await?;
            "removed".to_owned()
        }
        "open-many" => {
            let mut files = Vec::new();
            let error = loop {
                match folder.open_file(&path, false).await {
                    Ok(file) => files.push(file),
                    Err(error) => break error,
                }
            };
            format!("{} files, then {}", files.len(), error.code())
        }
        _ => return Err(Error::invalid("no such operation")),
    };
    call.output.text(said).await
}

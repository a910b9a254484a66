//! Links, `mute:?hash=…&size=…&name=…&from=…`: all it takes to get a file.

use crate::hash::Hash;
use crate::names;
use mute_plugin::{Address, Error, Result};
use std::fmt;
use std::str::FromStr;

/// What a link starts with.
const SCHEME: &str = "mute:?";
/// Bytes of a link: twice what the longest that we make has.
const LINK_MAX: usize = 2048;

/// A file that somebody shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) hash: Hash,
    /// Bytes, where known.
    pub(crate) size: Option<u64>,
    /// Clean.
    pub(crate) name: Option<String>,
    /// Who shares it, where known.
    pub(crate) from: Option<Address>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}hash={}", self.hash)?;
        if let Some(size) = self.size {
            write!(f, "&size={size}")?;
        }
        if let Some(name) = &self.name {
            f.write_str("&name=")?;
            for byte in name.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        write!(f, "{}", char::from(byte))?;
                    }
                    _ => write!(f, "%{byte:02X}")?,
                }
            }
        }
        if let Some(from) = &self.from {
            write!(f, "&from={from}")?;
        }
        Ok(())
    }
}

impl FromStr for Link {
    type Err = Error;

    /// A link, or a hash alone. Fields that we don't know are ignored; one of ours given twice is refused.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > LINK_MAX {
            return Err(Error::invalid("not a link: too long"));
        }
        let Some(fields) = text.strip_prefix(SCHEME) else {
            let hash = text.parse().map_err(|_| Error::invalid("neither a link (mute:?…) nor a hash"))?;
            return Ok(Self { hash, size: None, name: None, from: None });
        };
        let (mut hash, mut size, mut name, mut from) = (None, None, None, None);
        for field in fields.split('&').filter(|field| !field.is_empty()) {
            let (key, value) = field.split_once('=').ok_or_else(|| Error::invalid("not a link: a field without ="))?;
            let told = |_| Error::invalid(format!("not a link: {key} makes no sense"));
            let twice = match key {
                "hash" => hash.replace(value.parse().map_err(told)?).is_some(),
                "size" => size.replace(digits(value)?).is_some(),
                "name" => name.replace(names::clean(&unescaped(value)?)).is_some(),
                "from" => from.replace(value.parse().map_err(told)?).is_some(),
                _ => false,
            };
            if twice {
                return Err(Error::invalid(format!("not a link: {key} stands twice")));
            }
        }
        let hash = hash.ok_or_else(|| Error::invalid("not a link: it holds no hash"))?;
        Ok(Self { hash, size, name, from })
    }
}

fn digits(text: &str) -> Result<u64> {
    let told = || Error::invalid("not a link: size makes no sense");
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(told());
    }
    text.parse().map_err(|_| told())
}

fn unescaped(text: &str) -> Result<String> {
    let told = || Error::invalid("not a link: name makes no sense");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16)).ok_or_else(told);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| told())?);
    }
    String::from_utf8(bytes).map_err(|_| told())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_and_back(hash: [u8; 32], size: Option<u64>, name: Option<String>, from: Option<[u8; 32]>) {
            let name = name.map(|name| names::clean(&name));
            let link = Link { hash: Hash(hash), size, name, from: from.map(Address::from_bytes) };
            let text = link.to_string();
            prop_assert!(text.len() <= LINK_MAX && text.is_ascii() && !text.contains(char::is_whitespace));
            prop_assert_eq!(text.parse::<Link>().unwrap(), link);
        }

        #[test]
        fn hostile_text_never_panics(text in "(mute:\\?)?([a-z]{4}=[%0-9a-f&=ä]{0,80}&?){0,6}") {
            let _ = text.parse::<Link>();
        }
    }

    #[test]
    fn names_in_links_are_cleaned() {
        let hash = "0".repeat(64);
        let link: Link = format!("mute:?name=..%2F..%2F.ssh%2Fid&hash={hash}&colour=red").parse().unwrap();
        assert_eq!(link.name.as_deref(), Some("id"));
        assert_eq!(hash.parse::<Link>().unwrap().hash, Hash([0; 32]));
    }

    #[test]
    fn what_is_no_link_is_refused() {
        let hash = format!("hash={}", "0".repeat(64));
        for bad in [
            "",
            "mute:?",
            "http://x",
            "mute:?size=1",
            &format!("mute:?{hash}&{hash}"),
            &format!("mute:?{hash}&size=-1"),
            &format!("mute:?{hash}&size=+1"),
            &format!("mute:?{hash}&size=99999999999999999999"),
            &format!("mute:?{hash}&name=%f"),
            &format!("mute:?{hash}&name=%ff"),
            &format!("mute:?{hash}&from=mute1x"),
            &format!("mute:?{hash}&x"),
            &format!("mute:?{hash}&x={}", "y".repeat(LINK_MAX)),
        ] {
            assert!(bad.parse::<Link>().is_err(), "{bad}");
        }
    }
}

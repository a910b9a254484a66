//! Which rules the routers of a run follow: what the scenarios of large networks compare.

use std::rc::Rc;

use clap::{Args, ValueEnum};
use mute_core::{Finding, FloodEnd, FloodRules, FloodStart, Profile, WalkShape, limits};
use serde::Serialize;

use crate::Configure;

/// The rules of the routers, where they are not the defaults.
#[derive(Args, Clone, Debug, Default, Serialize)]
pub struct Rules {
    /// The profile of the network.
    #[arg(long, default_value_t = Profile::Fast)]
    #[serde(serialize_with = "name")]
    pub profile: Profile,
    /// How floods travel before they are counted.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// Hops that are counted.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hops: Option<u8>,
    /// To how many neighbours a node passes a flood.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<usize>,
    /// How floods end.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// How addresses are found.
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<Find>,
    /// Walkers of a walk, as a power of two.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walkers_log2: Option<u8>,
    /// Hops of a walker by itself, on average.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walker_hops: Option<u8>,
}

/// [`Finding`], for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Find {
    /// By seeks to everybody in reach.
    Floods,
    /// By walks that meet walking seeks.
    Walks,
}

/// [`FloodStart`], for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// To one neighbour at a time.
    Path,
    /// To everybody.
    Everywhere,
}

/// [`FloodEnd`], for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The original MUTE's, with tails.
    DropTree,
    /// A coin of the question and the neighbour.
    KeyedStop,
    /// Ever fewer hear it.
    Fading,
}

impl Rules {
    /// How the routers are made.
    pub(crate) fn configure(&self) -> Configure {
        let (profile, floods, finding, walks) = (self.profile, self.floods(), self.finding(), self.walks());
        Rc::new(move |_, config| {
            (config.profile, config.floods, config.finding, config.walks) = (profile, floods, finding, walks);
        })
    }

    fn finding(&self) -> Finding {
        self.find.map_or(Finding::default(), |find| match find {
            Find::Floods => Finding::Floods,
            Find::Walks => Finding::Walks,
        })
    }

    fn walks(&self) -> WalkShape {
        let defaults = WalkShape::default();
        WalkShape {
            walkers_log2: self.walkers_log2.unwrap_or(defaults.walkers_log2),
            mean_hops: self.walker_hops.unwrap_or(defaults.mean_hops),
        }
    }

    /// How far floods go.
    pub(crate) fn floods(&self) -> FloodRules {
        let defaults = FloodRules::default();
        FloodRules {
            start: self.start.map_or(defaults.start, |start| match start {
                Start::Path => FloodStart::Path,
                Start::Everywhere => FloodStart::Everywhere,
            }),
            hops: self.hops.unwrap_or(defaults.hops),
            fan_out: self.fan_out.unwrap_or(defaults.fan_out).clamp(1, limits::MAX_LINKS),
            end: self.end.map_or(defaults.end, |end| match end {
                End::DropTree => FloodEnd::DropTree,
                End::KeyedStop => FloodEnd::KeyedStop,
                End::Fading => FloodEnd::Fading,
            }),
        }
    }
}

fn name<S: serde::Serializer>(profile: &Profile, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(profile)
}

//! Max–min fair shares.

use std::collections::BTreeMap;

/// One who asks for as much as there is: over which resources every byte goes.
pub(super) struct User {
    /// Names of resources, each once.
    pub(super) over: Vec<u64>,
}

/// What each user gets where nobody can get more without somebody who has no more getting less (Bertsekas and Gallager, *Data networks*, 6.5.2: all rates rise
/// together, until a resource is used up; who uses it stays where he is). `capacity`: of each resource that is named.
pub(super) fn max_min(users: &[User], capacity: &BTreeMap<u64, f64>) -> Vec<f64> {
    let mut left = capacity.clone();
    let mut rates: Vec<Option<f64>> = vec![None; users.len()];
    let mut level = 0.0;
    loop {
        let mut rising: BTreeMap<u64, u32> = BTreeMap::new();
        for (user, _) in users.iter().zip(&rates).filter(|(_, rate)| rate.is_none()) {
            for resource in &user.over {
                *rising.entry(*resource).or_default() += 1;
            }
        }
        let room = |(resource, count): (&u64, &u32)| Some(left.get(resource)? / f64::from(*count));
        let Some(step) = rising.iter().filter_map(room).min_by(f64::total_cmp) else {
            return rates.into_iter().map(|rate| rate.unwrap_or(level)).collect();
        };
        level += step;
        for (resource, count) in &rising {
            if let Some(left) = left.get_mut(resource) {
                *left -= step * f64::from(*count);
            }
        }
        let used_up = |resource: &u64| left.get(resource).is_some_and(|left| *left <= 1e-9 * capacity[resource]);
        for (user, rate) in users.iter().zip(&mut rates) {
            if rate.is_none() && user.over.iter().any(used_up) {
                *rate = Some(level);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(capacities: &[f64], users: &[&[u64]]) -> Vec<f64> {
        let capacity = (0..).zip(capacities.iter().copied()).collect();
        let users: Vec<User> = users.iter().map(|over| User { over: over.to_vec() }).collect();
        max_min(&users, &capacity)
    }

    #[test]
    fn the_textbooks_example() {
        // Bertsekas and Gallager, figure 6.14, with the fourth line three times as wide.
        let rates = shares(&[1.0, 1.0, 1.0], &[&[0, 1, 2], &[0], &[1], &[1]]);
        let expected = [1.0 / 3.0, 2.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0];
        assert!(rates.iter().zip(expected).all(|(rate, expected)| (rate - expected).abs() < 1e-9), "{rates:?}");
    }

    #[test]
    fn whoever_is_held_up_elsewhere_leaves_the_rest_to_others() {
        let rates = shares(&[10.0, 1.0], &[&[0, 1], &[0], &[0]]);
        assert_eq!(rates, [1.0, 4.5, 4.5]);
    }
}

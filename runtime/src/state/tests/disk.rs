//! The tests of states once more, with tables on disk of which hardly anything is in memory.

use super::*;
use crate::state::tests as root;

macro_rules! on_disk {
    ($($module:ident::$test:ident),+ $(,)?) => {
        $(#[test]
        fn $test() {
            BACKEND.set(crate::state::disk::tests::tiny());
            $module::$test();
        })+
    };
}

on_disk! {
    root::each_key_has_its_own_value,
    root::lists_and_maps_that_become_empty_are_forgotten,
    root::misuse_is_told,
    root::a_state_of_the_same_name_and_type_is_shared,
    kinds::an_aggregation_without_values_has_no_result,
    kinds::the_first_item_of_a_reduction_is_its_value,
    kinds::nothing_added_to_a_list_or_map_leaves_no_trace,
    kinds::entries_of_a_map_have_a_known_number,
    kinds::kinds_that_are_stored_alike_are_told_apart,
    kinds::every_kind_knows_the_keys_that_have_something,
    migration::state_of_another_type_is_refused_where_it_differs,
    migration::a_declared_migration_makes_of_each_value_what_it_is_now,
    migration::lists_maps_and_what_expires_are_migrated_by_their_parts,
    ttl::a_value_is_there_until_its_time_is_over,
    ttl::the_ends_of_time_are_times_like_others,
    ttl::only_the_last_use_counts,
    ttl::what_has_expired_can_be_given_out_until_it_is_cleaned_up,
    ttl::elements_and_entries_expire_one_by_one,
    ttl::without_a_search_only_what_is_come_across_is_dropped,
    ttl::a_large_map_is_not_searched_at_every_batch_but_is_searched,
    ttl::two_times_to_live_for_one_state_are_refused,
    ttl::a_state_is_restored_with_another_time_to_live_but_not_without_one,
    snapshot::reading_a_state_with_a_time_to_live_does_not_change_it,
}

#[test]
fn keys_that_nobody_asks_for_are_found() {
    BACKEND.set(crate::state::disk::tests::small());
    for (batch, life) in [(1, 200), (100, 20)] {
        ttl::churn(batch, life, |states| {
            let value = states.state("value").ttl(ttl::millis(life)).value::<u64>().unwrap();
            Box::new(move |states| value.set(states, 1).unwrap())
        });
    }
}

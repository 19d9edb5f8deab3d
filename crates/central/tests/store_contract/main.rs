//! The contract of the store: every test runs on SQLite and on Postgres.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod accounts;
mod events;
mod files;
mod holdings;
mod notices;
mod peers;
mod publish;
mod search;
mod sessions;
mod support;
mod upkeep;
mod uploads;

/// Makes a test of each function, once for each database.
macro_rules! on_both_databases {
    ($($module:ident: $($name:ident)*;)*) => {
        mod sqlite {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::support::on_sqlite(crate::$module::$name).await;
                }
            )* })*
        }
        mod postgres {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    crate::support::on_postgres(crate::$module::$name).await;
                }
            )* })*
        }
    };
}

on_both_databases! {
    accounts:
        names_are_unique_and_listed_in_order the_first_administrator_is_made_once
        the_last_administrator_stays disabling_ends_everything
        a_new_password_ends_the_other_sessions groups_have_members api_tokens_are_found_by_hash
        join_tokens_are_listed_and_removed;
    sessions:
        a_nonce_is_good_once a_session_needs_what_proved_it ending_a_session_tells_everybody
        the_oldest_session_makes_room;
    peers:
        a_new_key_needs_a_join_token a_known_key_gets_its_id_and_the_next_epoch
        one_use_of_a_join_token_lets_one_peer_in one_key_registered_at_once_is_one_peer
        heartbeats_renew_leases_of_the_current_epoch a_peer_that_logged_out_stays_out
        revoking_is_for_good a_pod_is_a_peer_by_its_name_and_key a_new_key_of_a_pod_ends_its_peer
        a_pod_that_registers_at_once_is_one_peer a_disabled_account_takes_no_pods;
    holdings:
        deltas_apply_without_gaps_and_once what_is_not_in_the_catalogue_is_passed_over
        a_stale_epoch_changes_nothing a_digest_finds_what_differs a_bucket_is_replaced
        reports_of_removed_or_changed_files_get_a_notice
        a_file_without_holders_keeps_when_it_was_seen;
    publish:
        a_free_name_becomes_a_file the_current_content_again_makes_no_version
        only_the_current_version_is_replaced names_of_others_are_taken
        who_may_write_publishes_versions ten_versions_are_kept
        a_removed_name_comes_back_only_as_a_new_file an_idempotency_key_gives_the_same_results
        a_name_twice_in_a_batch_is_two_versions two_publishes_of_a_name_at_once_make_one_file
        two_next_versions_at_once_make_one batches_that_meet_in_any_order_succeed
        a_superseded_process_publishes_nothing a_thousand_versions_in_one_call;
    uploads:
        an_upload_publishes_for_who_asked an_upload_must_fit an_upload_ends_once
        the_peer_with_most_room_is_chosen names_and_versions_are_checked_at_the_beginning
        an_upload_brings_a_removed_name_back;
    files:
        a_private_file_is_there_for_its_own a_version_is_found_by_name_id_and_hash
        a_change_needs_the_owner_and_known_principals
        changing_who_may_have_it_signs_all_versions_again tags_leave_the_serial_alone
        removing_leaves_a_tombstone near_sources_come_first locating_gives_address_and_port;
    notices:
        numbers_go_up_and_nothing_comes_twice long_lists_come_in_parts;
    events:
        every_kind_reads_back_as_it_was_written
        each_version_of_a_publish_has_an_event_in_its_order what_is_refused_leaves_no_event;
    search:
        it_finds_what_a_query_matches pages_are_stable_while_names_are_added filters_narrow_it
        hidden_files_are_not_found common_terms_are_found_wherever_they_are;
    upkeep:
        a_database_keeps_its_network an_older_central_is_refused what_has_ended_is_dropped
        cancelled_calls_leave_no_transaction_open broken_connections_are_replaced
        what_there_is_is_counted;
}

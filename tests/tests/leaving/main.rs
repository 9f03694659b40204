//! The program leaves: who is told, who is closed when, and who takes its place.

#![forbid(unsafe_code)]

mod an_heir_fails_or_comes_late;
mod an_upgrade_refuses_or_loses;
mod clients_come_back_all_at_once;
mod health_checks_do_not_notice;
mod the_service_manager_is_not_told;
mod what_moves_is_lost;

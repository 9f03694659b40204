//! The mesh task of a shard: does what other threads put into its inbox.

use std::rc::Rc;
use std::sync::Arc;

use corecast_hub::Flush;
use corecast_hub::node;
use corecast_hub::session::ClosedBy;

use crate::carrier;
use crate::handler::Handler;
use crate::limits::{MESH_DELIVERIES_PER_TURN_MAX, MESH_JOBS_PER_TURN_MAX};
use crate::mesh::{Direct, Job, Mailbox};
use crate::pace;
use crate::shard::Shard;
use crate::signal::Signal;

/// Runs until the executor ends the task.
pub(crate) async fn run<H: Handler>(shard: Rc<Shard<H>>, mailbox: Mailbox) {
    let mut done = Vec::new();
    loop {
        shard.mail.wait().await;
        while deliver(&shard, &mailbox, &mut done) {
            // The flusher and the readers want their turn before the rest.
            pace::pause(&shard).await;
        }
    }
}

/// Does jobs, as many as make a turn. Says whether there may be more.
fn deliver<H: Handler>(shard: &Shard<H>, mailbox: &Mailbox, done: &mut Vec<Job>) -> bool {
    let (mut deliveries, mut jobs) = (0, 0);
    let mut more = true;
    while more && deliveries < MESH_DELIVERIES_PER_TURN_MAX && jobs < MESH_JOBS_PER_TURN_MAX {
        jobs += 1;
        match mailbox.take() {
            Some(Job::Node(node::Job::Updates(batch))) => {
                jobs += batch.updates.len() as u32;
                deliveries += 1 + carrier::carry(shard, node::Job::Updates(batch));
            }
            // Each of the feed's jobs gives its place back with its last copy.
            Some(Job::Node(job)) => deliveries += 1 + carrier::carry(shard, job),
            Some(Job::Tell { to, event, .. }) => carrier::tell_one(shard, to, *event),
            Some(job) => {
                deliveries += 1 + perform(shard, &job);
                done.push(job);
            }
            None => more = false,
        }
    }
    shard.settle();
    // Only now that it is known which outboxes they filled, their places are given back.
    done.clear();
    more
}

/// Does one job. Returns the frames that it queued.
fn perform<H: Handler>(shard: &Shard<H>, job: &Job) -> u64 {
    let mut hub = shard.hub.borrow_mut();
    match job {
        Job::Publish(publication) => shard.publishing(&mut hub).sequence(publication).delivered,
        Job::Deliver(publication) => shard.publishing(&mut hub).deliver(publication).delivered,
        Job::Direct { to, what: Direct::Send(frame), .. } => {
            shard.publishing(&mut hub).send(*to, frame);
            1
        }
        Job::Direct { to, what: Direct::Close(code, reason), .. } => {
            drop(hub);
            shard.close(*to, ClosedBy::Handler, *code, reason, Flush::Queued);
            1
        }
        Job::Namespaces(namespaces) => {
            shard.node.borrow_mut().set_namespaces(Arc::clone(namespaces));
            hub.set_namespaces(Arc::clone(namespaces));
            1
        }
        Job::Limits(limits) => {
            shard.edge.set_limits(Arc::clone(limits));
            1
        }
        Job::Tls(settings) => {
            if let Some(desk) = &shard.tls {
                desk.set(Arc::clone(settings));
            }
            1
        }
        Job::Node(_) | Job::Tell { .. } => unreachable!("done where they are taken out"),
        Job::Accept(accept) => {
            shard.accepting.set(*accept);
            shard.listening.iter().for_each(Signal::raise);
            1
        }
        Job::Images { after, bytes_max, reply } => {
            let images = shard.node.borrow().home().images(after.as_deref(), *bytes_max);
            // Who asked may have lost patience.
            let _ = reply.send(images);
            1
        }
        Job::Leave(order) => {
            drop(hub);
            shard.leave(Arc::clone(order));
            1
        }
        #[cfg(feature = "fault-injection")]
        Job::Panic => panic!("injected into the loop of shard {}", shard.id.0),
        #[cfg(feature = "fault-injection")]
        Job::NoBuffers(writes) => {
            crate::socket::NO_BUFFERS.set(*writes);
            1
        }
    }
}

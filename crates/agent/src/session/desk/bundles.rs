//! What the desk does about bundles: a result waits for its bundle, a bundle for its turn.

use std::path::Path;

use model::LeafId;
use protocol::answer::BundleInfo;
use protocol::frame::{BundleAck, UpFrame};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{Desk, Say};
use crate::session::upload::{Next, Upload};

impl Desk {
    pub(super) fn begin_upload(
        &mut self,
        leaf: LeafId,
        path: &Path,
        info: &BundleInfo,
        deadline: Instant,
    ) {
        match Upload::new(leaf, path, info, deadline) {
            Ok(upload) => {
                if self.uploads.add(upload) {
                    self.outbox.push_back(Say::Bundle);
                }
            }
            Err(error) => {
                warn!(leaf.id = %leaf, error = %error, "a bundle cannot be read");
                self.finish_upload(leaf);
            }
        }
    }

    /// The node's word on a bundle.
    pub(crate) fn bundle_ack(&mut self, ack: &BundleAck) {
        let Ok(leaf) = ack.leaf_id.parse::<LeafId>() else {
            return;
        };
        match self.uploads.next(leaf, ack, Instant::now()) {
            Some(Next::Chunk(chunk)) => self.say(UpFrame::BundleChunk(chunk)),
            Some(Next::End) => {
                debug!(leaf.id = %leaf, refused = ack.refused, "the upload of a bundle has ended");
                self.finish_upload(leaf);
            }
            None => {}
        }
    }

    pub(super) fn finish_upload(&mut self, leaf: LeafId) {
        let is_anothers_turn = self.uploads.remove(leaf);
        std::fs::remove_dir_all(self.work_dir_of(leaf)).ok();
        self.say_result(leaf);
        if is_anothers_turn {
            self.outbox.push_back(Say::Bundle);
        }
    }

    pub(super) fn give_up(&mut self, leaf: LeafId) {
        warn!(leaf.id = %leaf, "the upload of a bundle was given up");
        self.finish_upload(leaf);
    }

    /// When the next upload is to be given up.
    pub(crate) fn next_give_up(&self) -> Option<Instant> {
        self.uploads.next_give_up()
    }

    /// Gives up uploads that got nowhere.
    pub(crate) fn give_up_uploads(&mut self) {
        for leaf in self.uploads.stalled(Instant::now()) {
            self.give_up(leaf);
        }
    }
}

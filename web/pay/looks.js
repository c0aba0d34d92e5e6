// Which texts and which colour each state and each note has. The texts themselves are in strings.js.

export const STATES = {
  waiting: { tone: "wait", head: "head_waiting", tell: "tell_waiting", title: "title_waiting" },
  partial: { tone: "warn", head: "head_partial", tell: "tell_partial", title: "title_waiting" },
  reverted: { tone: "warn", head: "head_reverted", tell: "tell_reverted", title: "title_guarded" },
  stray: { tone: "warn", head: "head_stray", tell: "tell_stray", title: "title_guarded" },
  uncounted: { tone: "warn", head: "head_uncounted", tell: "tell_uncounted", title: "title_guarded" },
  time_up: { tone: "warn", head: "head_time_up", tell: "tell_time_up", title: "title_time_up" },
  confirming: { tone: "wait", head: "head_confirming", tell: "tell_confirming", title: "title_confirming" },
  paid: { tone: "good", head: "head_paid", tell: "tell_paid", title: "title_paid" },
  underpaid: { tone: "bad", head: "head_underpaid", tell: "tell_underpaid", title: "title_underpaid", ended: "step_underpaid" },
  expired: { tone: "bad", head: "head_expired", tell: "tell_expired", title: "title_expired", ended: "step_expired" },
  astray: { tone: "bad", head: "head_expired", tell: "tell_astray", title: "title_expired", ended: "step_expired" },
  cancelled: { tone: "bad", head: "head_cancelled", tell: "tell_cancelled", title: "title_cancelled", ended: "step_cancelled" },
};

export const NOTES = {
  mismatched: { tone: "warn", title: "note_mismatched", tell: "note_mismatched_tell" },
  late: { tone: "bad", title: "note_late", tell: "note_late_tell" },
  extra: { tone: "warn", title: "note_extra", tell: "note_extra_tell" },
  after_cancel: { tone: "bad", title: "note_after_cancel", tell: "note_after_cancel_tell" },
  uncounted: { tone: "warn", title: "note_uncounted", tell: "note_uncounted_tell" },
  assigned: { tone: "good", title: "note_assigned", tell: "note_assigned_tell" },
  replaced: { tone: "warn", title: "note_replaced", tell: "note_replaced_tell" },
  overpaid: { tone: "warn", title: "note_overpaid", tell: "note_overpaid_tell" },
};

export const STEP_NAMES = ["step_waiting", "step_seen", "step_confirmed", "step_paid"];

/** By the payment's currency. Another than these is told by its own name. */
export const NETWORKS = { USDT_TRC20: { name: "network_tron", warning: "warning_tron" } };

/** Why there is nothing to show: title and text. */
export const TROUBLES = {
  no_link: ["trouble_no_link", "trouble_no_link_tell"],
  unauthorized: ["trouble_unauthorized", "trouble_unauthorized_tell"],
  forbidden: ["trouble_forbidden", "trouble_forbidden_tell"],
  not_found: ["trouble_not_found", "trouble_not_found_tell"],
  other: ["trouble_other", "trouble_other_tell"],
  unreachable: ["trouble_unreachable", "trouble_unreachable_tell"],
};

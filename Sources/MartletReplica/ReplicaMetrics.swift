public import MartletBase

extension ReplicaStatus {
    /// The few figures that dashboards and alerts for etcd look at, under etcd's names.
    public func write(to text: inout PrometheusText) {
        func truth(_ value: Bool) -> String { value ? "1" : "0" }
        func gauge(_ name: String, _ help: String, _ value: String) { text.metric(name, "gauge", help, value) }
        gauge("etcd_server_has_leader", "Whether a leader is known.", truth(leader != nil))
        gauge("etcd_server_is_leader", "Whether this member leads.", truth(leader == member))
        gauge("etcd_server_is_learner", "Whether this member does not vote.", truth(isLearner))
        gauge("etcd_server_proposals_committed_total", "Entries known to be committed.", "\(commitIndex)")
        gauge("etcd_server_proposals_applied_total", "Entries applied.", "\(appliedIndex)")
        gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes of the checkpoint.", "\(databaseBytes)")
        gauge("etcd_debugging_mvcc_current_revision", "The store's revision.", "\(revision)")
    }
}

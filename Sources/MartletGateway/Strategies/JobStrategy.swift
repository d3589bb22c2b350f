internal import MartletObject

extension Strategy {
    /// A job finds its pods by labels that nobody else has: its uid's. Upstream writes each under two names, with and
    /// without a prefix.
    static let job = Strategy(generations: .spec, orphansByDefault: true, prepareForCreate: { label(&$0) })

    private static let prefix = "batch.kubernetes.io/"

    private static func label(_ job: inout JSON) {
        guard job["spec", "manualSelector"]?.bool != true else { return }
        for (name, value) in [("controller-uid", job.uid), ("job-name", job.name)] {
            for key in [name, prefix + name] where job["spec", "template", "metadata", "labels", key] == nil {
                job["spec", "template", "metadata", "labels", key] = .string(value)
            }
        }
        settleLabels(&job)
        // A selector of one's own without `manualSelector` is left for validation to refuse.
        if job["spec", "selector", "matchLabels", prefix + "controller-uid"] == nil {
            job["spec", "selector", "matchLabels", prefix + "controller-uid"] = .string(job.uid)
        }
    }

    private static func settleLabels(_ job: inout JSON) {
        let labels = JSON(job["spec", "template"]?.labels ?? [:])
        job["spec", "template", "metadata", "labels"] = labels
        // As defaults would, which have come too early for these.
        if job.labels.isEmpty { job["metadata", "labels"] = labels }
    }
}

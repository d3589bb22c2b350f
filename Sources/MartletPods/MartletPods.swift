// The room of a pod's life: what a kubelet decides, without doing any of it.
//
// `PodMachine` is one pod: events in, effects out. The rest are the pure parts it and its shell need: the typed spec,
// probes, back-off, environment and volume contents, and the log format of containers.

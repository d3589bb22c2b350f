// The room of the node agent: the shell around `PodMachine`.
//
// `NodeAgent` follows the pods of its node, feeds each one's machine, and carries its actions out through the container
// runtime. It reports the node and its pods through the public API only, and serves the kubelet's API for logs.

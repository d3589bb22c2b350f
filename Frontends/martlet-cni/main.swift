// The CNI plugin of Martlet: a container runtime starts it for each pod. What it does is decided by `CNIPlugin`; here
// its actions are run, one after the other, without an event loop: nothing starts faster.
import Glibc
import MartletBase
import MartletCNI

signal(SIGPIPE, SIG_IGN)
if CommandLine.arguments.dropFirst() == ["--version"] {
    Host.writeAll(1, Array((MartletVersion.line(of: "martlet-cni") + "\n").utf8))
    exit(0)
}
var plugin = CNIPlugin(environment: Host.environment(), input: Host.readAll(0, limit: CNIPlugin.inputLimit + 1))
var outcome = CNIPlugin.Outcome.begin
while true {
    switch plugin.step(outcome) {
    case .run(let call): outcome = Host.run(call)
    case .listReservations(let directory): outcome = .reservations(Host.reservations(in: directory))
    case .findPrograms(let names): outcome = .missing(names.filter { Host.find($0) == nil })
    case .finish(let output, let status):
        Host.writeAll(1, output)
        exit(status)
    }
}

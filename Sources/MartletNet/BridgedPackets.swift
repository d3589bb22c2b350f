internal import Logging
internal import MartletBase

/// Whether packets between pods of one bridge pass this host's rules for IP.
enum BridgedPackets {
    /// Lets them, where the module br_netfilter is loaded; false where they do not. Without it the answer of one pod to
    /// another of the same bridge never meets this host's rules.
    static func passRules(_ kernel: KernelNetwork, _ logger: Logger) async -> Bool {
        for name in ["bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables"] {
            guard await kernel.setting(name) != nil else { return false }
            do { try await kernel.set(name, to: "1") } catch {
                logger.notice("\(name) cannot be set", metadata: ["error": "\(error)"])
                return false
            }
        }
        return true
    }
}

internal import MartletIO
internal import MartletPods

/// How this machine resolves names.
public enum HostResolver {
    /// The name servers of a resolv.conf(5), in their order; none when it cannot be read.
    public static func nameServers(in path: String = "/etc/resolv.conf") -> [String] {
        (try? Files.read(path)).map { NameResolution(parsing: String(decoding: $0, as: UTF8.self)).servers } ?? []
    }
}

/// What a pod's resolv.conf says.
struct NameResolution: Sendable, Hashable {
    var servers: [String] = []
    var searches: [String] = []
    var options: [String] = []

    /// At most this many name servers are written: resolvers read no more.
    static let serverLimit = 3
    /// At most this many search domains are written (kubelet's limit).
    static let searchLimit = 32
    /// At most this many bytes of them, spaces between them counted (kubelet's limit).
    static let searchBytes = 2048

    /// Reads resolv.conf(5).
    init(parsing text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            case "nameserver": servers += words.dropFirst().prefix(1)
            // With or without its last dot it is the same domain (and so kubelet has it).
            case "search", "domain":
                searches = words.dropFirst().map { $0.hasSuffix(".") && $0 != "." ? String($0.dropLast()) : $0 }
            case "options": options += words.dropFirst()
            default: continue
            }
        }
    }

    init() {}

    /// What a pod gets by its `dnsPolicy` and `dnsConfig`.
    static func of(_ spec: PodSpec, configuration: NodeAgentConfiguration) -> NameResolution {
        var names = NameResolution()
        if spec.dnsPolicy != "None" {
            let text = (try? Files.read(configuration.resolvConf)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            names = NameResolution(parsing: text)
        }
        let wantsCluster =
            spec.dnsPolicy == "ClusterFirstWithHostNet" || (spec.dnsPolicy == "ClusterFirst" && !spec.hostNetwork)
        if wantsCluster, !configuration.clusterDNS.isEmpty {
            let domain = configuration.clusterDomain
            names.servers = configuration.clusterDNS
            names.searches = ["\(spec.namespace).svc.\(domain)", "svc.\(domain)", domain] + names.searches
            names.options = ["ndots:5"]
        }
        names.servers += spec.dnsServers
        names.searches += spec.dnsSearches
        // An option of the pod replaces the one of the same name.
        let key: (String) -> Substring = { $0.prefix { $0 != ":" } }
        let replaced = Set(spec.dnsOptions.map(key))
        names.options = names.options.filter { !replaced.contains(key($0)) } + spec.dnsOptions
        names.servers = Array(unique(names.servers).prefix(serverLimit))
        names.searches = fitting(unique(names.searches))
        return names
    }

    /// As many search domains as resolvers read.
    private static func fitting(_ domains: [String]) -> [String] {
        var kept: [String] = []
        var bytes = 0
        for domain in domains.prefix(searchLimit) {
            bytes += domain.utf8.count + (kept.isEmpty ? 0 : 1)
            if bytes > searchBytes { break }
            kept.append(domain)
        }
        return kept
    }

    private static func unique(_ words: [String]) -> [String] {
        var seen: Set<String> = []
        return words.filter { seen.insert($0).inserted }
    }
}

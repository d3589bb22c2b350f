public import ArgumentParser
public import Martlet

/// The flags that every daemon understands.
public struct DaemonOptions: ParsableArguments {
    @Option(
        name: .customLong("data-dir"),
        help: "The folder of all state. (default: /var/lib/martlet, or ~/.local/state/martlet when not root)")
    var dataDirectory: String?

    @Option(help: "The name of this machine in the cluster. (default: the host name)")
    var nodeName: String?

    @Option(
        help: """
            The address at which other machines reach this one; with a comma, a second one of the other kind. \
            (default: that of the default route)
            """, transform: Flags.addresses)
    var nodeAddress: String?

    @Option(
        help: "Where the REST gateway listens. (default: 127.0.0.1:6443, or as the machine joined its cluster)",
        transform: Flags.endpoint)
    var apiAddress: Endpoint?

    @Option(help: "A further name or address in the gateway's certificate; may be given more than once.")
    var apiSan: [String] = []

    @Option(
        help: """
            The range that Services get their addresses from, or one of each kind of addresses with a comma between \
            them. (default: 10.96.0.0/16, or the cluster's)
            """, transform: Flags.range)
    var serviceCIDR: String?

    @Option(help: "A file of bearer tokens: TOKEN,USER,UID,\"GROUP1,GROUP2\" in each line.")
    var tokenAuthFile: String?

    @Option(help: "The key that signs service account tokens, PEM. (default: sa.key in the PKI folder)")
    var serviceAccountKeyFile: String?

    @Option(help: "The name of who signs service account tokens: an https URL.", transform: Flags.secureURL)
    var serviceAccountIssuer = "https://kubernetes.default.svc.cluster.local"

    @Option(
        help: """
            Whether requests without credentials are looked at, as those of system:anonymous: they see health and \
            version, and what roles give them. true or false; when false they get 401.
            """)
    var anonymousAuth = true

    @Option(
        help: """
            How long certificates are good for that this machine makes, or signs for others; they are renewed after \
            two thirds of it.
            """, transform: Flags.lifetime)
    var certificateLifetime = "365d"

    @Option(help: "How much to say.")
    var logLevel = Logger.Level.info

    /// As the command line gives them.
    public init() {}

    /// The configuration that these flags ask for.
    /// - Throws: `ValidationError` that names the flag.
    public func configuration(roles: Set<ClusterConfiguration.Role>) throws -> ClusterConfiguration {
        let addresses = (nodeAddress ?? "").split(separator: ",").map(String.init)
        var configuration = ClusterConfiguration(
            roles: roles, dataDirectory: dataDirectory ?? DataFolder.standard, nodeName: nodeName ?? Machine.nodeName,
            nodeAddress: addresses.first ?? Machine.address)
        configuration.secondNodeAddress = addresses.dropFirst().first
        if var machine = try MachineFile(readingFrom: configuration.dataDirectory) {
            if let nodeName, nodeName != machine.nodeName {
                throw ValidationError("--node-name \(nodeName): this machine has joined as \(machine.nodeName)")
            }
            if let address = addresses.first { machine.nodeAddress = address }
            try machine.apply(to: &configuration)
        }
        if let apiAddress { configuration.apiEndpoint = apiAddress }
        configuration.apiNames += apiSan
        if let serviceCIDR { configuration.serviceCIDR = serviceCIDR }
        configuration.tokenFile = tokenAuthFile
        configuration.serviceAccountKey = serviceAccountKeyFile
        configuration.serviceAccountIssuer = serviceAccountIssuer
        configuration.allowsAnonymous = anonymousAuth
        configuration.certificateLifetime = Duration(written: certificateLifetime) ?? configuration.certificateLifetime
        configuration.logger = Logger(label: "martlet") { StreamLogHandler.standardError(label: $0) }
        configuration.logger.logLevel = logLevel
        return configuration
    }
}

/// The systemd unit of a machine's daemon.
public struct ServiceUnit: Sendable, Hashable {
    /// Its name.
    public static let name = "martletd.service"
    /// Where a unit that an administrator installs belongs.
    public static let path = "/etc/systemd/system/" + name

    /// The daemon and its arguments.
    public var command: [String]
    /// The folder of all state.
    public var dataDirectory: String
    /// Whether containers run here: they need what a master alone can do without.
    public var runsPods: Bool

    /// A unit that runs `command`.
    public init(command: [String], dataDirectory: String, runsPods: Bool) {
        self.command = command
        self.dataDirectory = dataDirectory
        self.runsPods = runsPods
    }

    /// The unit's file.
    public var text: String {
        """
        [Unit]
        Description=Martlet, this machine's part of a cluster
        After=network-online.target
        Wants=network-online.target
        # It is started again and again, however often it fails: a master that waits for its disk comes back by itself.
        StartLimitIntervalSec=0

        [Service]
        # It says that it is ready, and how far it is, by itself.
        Type=notify
        ExecStart=\(command.map(Self.quoted).joined(separator: " "))
        Restart=always
        RestartSec=1
        TimeoutStartSec=infinity
        TimeoutStopSec=60
        # Containers live on: only the daemon is told to stop, and they are taken over at its next start.
        KillMode=process
        Delegate=yes
        LimitNOFILE=1048576
        TasksMax=infinity
        OOMScoreAdjust=-900
        \(runsPods ? Self.podsNeed : Self.masterAlone(dataDirectory))

        [Install]
        WantedBy=multi-user.target

        """
    }

    /// What is taken from a process that makes no containers.
    private static func masterAlone(_ dataDirectory: String) -> String {
        """
        UMask=0077
        NoNewPrivileges=yes
        CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_SYS_RESOURCE CAP_DAC_OVERRIDE CAP_FOWNER CAP_CHOWN
        ProtectSystem=strict
        ReadWritePaths=\(quoted(dataDirectory))
        ProtectHome=read-only
        PrivateTmp=yes
        ProtectClock=yes
        ProtectHostname=yes
        ProtectKernelLogs=yes
        ProtectKernelModules=yes
        ProtectKernelTunables=yes
        RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
        RestrictNamespaces=yes
        RestrictRealtime=yes
        RestrictSUIDSGID=yes
        LockPersonality=yes
        MemoryDenyWriteExecute=yes
        SystemCallArchitectures=native
        """
    }

    /// Containers inherit what is taken from the daemon: nothing is, but what no container has a use for.
    private static let podsNeed = """
        LimitNPROC=infinity
        LimitCORE=infinity
        LockPersonality=yes
        """

    /// A word as systemd reads it: `%` and `$` stand for themselves when they are doubled.
    private static func quoted(_ word: String) -> String {
        var text = "\""
        for letter in word {
            switch letter {
            case "\"", "\\": text += "\\" + String(letter)
            case "%", "$": text += String(letter) + String(letter)
            default: text.append(letter)
            }
        }
        return text + "\""
    }
}

internal import ArgumentParser
public import Martlet
internal import MartletIO

#if canImport(Glibc)
internal import Glibc
#endif

/// Where state lives unless told otherwise.
enum DataFolder {
    static var standard: String {
        if Machine.isRoot { return "/var/lib/martlet" }
        let variables = ProcessVariables()
        return (variables["XDG_STATE_HOME"] ?? (variables["HOME"] ?? ".") + "/.local/state") + "/martlet"
    }
}

/// The environment, read only.
struct ProcessVariables {
    subscript(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// Whether there is a variable whose name begins so.
    func hasAny(prefix: String) -> Bool {
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            if unsafe strncmp(entry, prefix, prefix.utf8.count) == 0 { return true }
            unsafe next += 1
        }
        return false
    }
}

/// The life of a daemon: start, say so, wait for a signal, stop.
public enum Daemon {
    /// Runs a cluster, or this process's part of one, until SIGINT or SIGTERM.
    /// - Parameter removesPods: whether the containers end with the daemon.
    /// - Throws: `ExitCode` after a one-line error on the standard error output.
    public static func run(_ configuration: ClusterConfiguration, removesPods: Bool) async throws {
        Allocator.keepFreedMemoryAtHand()
        Allocator.giveBackFromNowOn()
        if let other = ProcessFile(dataDirectory: configuration.dataDirectory).take() {
            Console.complain(
                "\(configuration.dataDirectory) has a daemon already (process \(other)): end it first, or choose "
                    + "another --data-dir")
            throw ExitCode(1)
        }
        // From here on, so that a signal that comes during the start is not lost.
        let signal = Task { await Signals.wait(for: [SIGINT, SIGTERM]) }
        // Connections of thousands of watchers go past the usual 1024.
        do { try System.raiseDescriptorLimit() } catch {
            Console.complain("cannot raise the limit of open files (\(error)); going on with the one there is")
        }
        // A start may take long, where it waits for a store to join: a signal ends it.
        let starting = Task { try await Cluster.start(configuration) }
        let ending = Task {
            _ = await signal.value
            starting.cancel()
        }
        let cluster: Cluster
        do { cluster = try await starting.value } catch {
            if starting.isCancelled { return Console.say("stopping") }
            Console.complain("\(error)")
            throw ExitCode(1)
        }
        if configuration.roles.contains(.gateway) {
            Console.say("ready: the API listens on https://\(cluster.apiEndpoint)")
            Console.say("       kubeconfig: \(cluster.adminKubeconfig)")
        } else {
            Console.say("ready: \(configuration.nodeName) works for https://\(cluster.apiEndpoint)")
        }
        for endpoint in cluster.edgeEndpoints { Console.say("       the edge listens on \(endpoint)") }
        ServiceManager.tell("READY=1", "STATUS=\(configuration.nodeName) works for https://\(cluster.apiEndpoint)")
        await ending.value
        Console.say("stopping")
        ServiceManager.tell("STOPPING=1")
        await cluster.stop(removesPods: removesPods)
    }

    /// Ends the pods of a machine whose daemon has ended, and removes what was made for them.
    /// - Throws: `ExitCode` after a one-line error on the standard error output.
    public static func clean(_ configuration: ClusterConfiguration) async throws {
        do { try await Cluster.removePods(configuration) } catch {
            Console.complain("\(error)")
            throw ExitCode(1)
        }
    }
}

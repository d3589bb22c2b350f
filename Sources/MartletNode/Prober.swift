internal import HTTPTypes
internal import MartletBase
internal import MartletHTTP
internal import MartletPods
internal import MartletRuntime

/// Carries out probes.
struct Prober: Sendable {
    let world: any World
    let runtime: any ContainerRuntime

    /// Whether the probe succeeded, and what is to be said when not.
    func answer(_ run: ProbeRun) async -> (Bool, String) {
        let seconds = run.spec.timeoutSeconds
        return await withTaskGroup(of: (Bool, String)?.self) { group in
            group.addTask { await attempt(run) }
            group.addTask { [world] in
                guard (try? await world.sleep(for: .seconds(seconds))) != nil else { return nil }
                return (false, "no answer within \(seconds) s")
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? (false, "the probe was cancelled")
        }
    }

    private func attempt(_ run: ProbeRun) async -> (Bool, String) {
        do {
            switch run.spec.handler {
            case .exec(let command):
                let result = try await runtime.execSync(
                    run.id, command: command, timeoutSeconds: run.spec.timeoutSeconds)
                let output = (result.output + result.errors).prefix(Limits.probeOutput)
                return (result.exitCode == 0, String(decoding: output, as: UTF8.self))
            case .tcpSocket(let host, let port):
                let stream = try await world.connect(to: endpoint(host, port, run))
                stream.close()
                return (true, "")
            case .httpGet(let scheme, let host, let port, let path, let headers):
                guard scheme.uppercased() != "HTTPS" else {
                    // The probe must not verify the certificate, and our TLS client always does: a connection is
                    // the most that can be asked for.
                    let stream = try await world.connect(to: endpoint(host, port, run))
                    stream.close()
                    return (true, "")
                }
                return try await get(endpoint(host, port, run), path: path, headers: headers)
            case .unsupported(let what): return (false, "\(what): not supported by this node")
            }
        } catch {
            return (false, "\(error)")
        }
    }

    private func endpoint(_ host: String, _ port: Int, _ run: ProbeRun) -> Endpoint {
        .ip(host.isEmpty ? run.address : host, port: UInt16(clamping: port))
    }

    private func get(
        _ endpoint: Endpoint, path: String, headers: [ProbeSpec.HeaderField]
    ) async throws -> (Bool, String) {
        var head = HTTPRequest(
            method: .get, scheme: "http", authority: "\(endpoint)", path: path.hasPrefix("/") ? path : "/\(path)")
        head.headerFields[.userAgent] = "kube-probe/\(MartletVersion.level)"
        head.headerFields[.accept] = "*/*"
        for header in headers {
            if header.name.lowercased() == "host" {
                head.authority = header.value
            } else if let name = HTTPField.Name(header.name) {
                head.headerFields.append(HTTPField(name: name, value: header.value))
            }
        }
        let client = HTTPClient(endpoint: endpoint, serverName: "", in: world, maxIdle: 1)
        defer { client.close() }
        let response = try await client.send(head)
        let code = response.head.status.code
        return (200..<400 ~= code, "HTTP probe failed with statuscode: \(code)")
    }
}

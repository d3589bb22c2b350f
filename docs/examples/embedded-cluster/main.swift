import Martlet

// A whole cluster inside one program: start it, run a Deployment, read what became of it, stop it.
// No root, no containers: pods are child processes of this program.

var configuration = ClusterConfiguration.local(dataDirectory: CommandLine.arguments.dropFirst().first ?? "cluster")
configuration.roles.remove(.edge)

let cluster = try await Cluster.start(configuration)
print("the API listens on \(cluster.apiEndpoint); kubectl --kubeconfig \(cluster.adminKubeconfig) works")

_ = try await cluster.client.apply(
    .deployment,
    [
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": ["name": "hello", "namespace": "default"],
        "spec": [
            "replicas": 2, "selector": ["matchLabels": ["app": "hello"]],
            "template": [
                "metadata": ["labels": ["app": "hello"]],
                "spec": ["containers": [["name": "main", "image": "any", "command": ["sleep", "1000"]]]],
            ],
        ],
    ])

for await change in cluster.client.follow(.deployment, namespace: "default", logger: configuration.logger) {
    guard case .put(let deployment) = change else { continue }
    let ready = deployment["status", "readyReplicas"]?.int ?? 0
    print("\(deployment.name): \(ready) of 2 ready")
    if ready == 2 { break }
}
await cluster.stop(removesPods: true)

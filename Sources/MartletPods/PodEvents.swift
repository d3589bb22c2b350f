public import MartletObject

/// A sandbox as the runtime lists it.
public struct ObservedSandbox: Sendable, Hashable {
    /// The runtime's id.
    public var id: String
    /// Counts the sandboxes of the pod.
    public var attempt: UInt32
    /// Whether it runs.
    public var isReady: Bool
    /// Milliseconds since the epoch.
    public var createdAt: Int64
    /// The pod's addresses.
    public var addresses: [String]
    /// A sandbox from its parts.
    public init(id: String, attempt: UInt32, isReady: Bool, createdAt: Int64, addresses: [String]) {
        self.id = id
        self.attempt = attempt
        self.isReady = isReady
        self.createdAt = createdAt
        self.addresses = addresses
    }
}

/// A container as the runtime lists it.
public struct ObservedContainer: Sendable, Hashable {
    /// CRI's states.
    public enum State: Sendable, Hashable {
        /// Made, not started.
        case created
        /// Running.
        case running
        /// Ended, or lost.
        case exited
    }
    /// The runtime's id.
    public var id: String
    /// The sandbox's id.
    public var sandbox: String
    /// Its name in the pod.
    public var name: String
    /// Counts its starts.
    public var attempt: UInt32
    /// Its state.
    public var state: State
    /// The image's id.
    public var imageID = ""
    /// ``ContainerSpec/fingerprint`` of what it was made from; empty when unknown.
    public var fingerprint = ""
    /// Milliseconds since the epoch; 0 when it has not happened.
    public var startedAt: Int64 = 0
    /// Milliseconds since the epoch; 0 when it has not happened.
    public var finishedAt: Int64 = 0
    /// Exit code of an ended container.
    public var exitCode: Int32 = 0
    /// `Completed`, `Error`, `OOMKilled`, ...; may be empty.
    public var reason = ""
    /// A sentence of the runtime.
    public var message = ""
    /// A container in a state.
    public init(id: String, sandbox: String, name: String, attempt: UInt32, state: State) {
        self.id = id
        self.sandbox = sandbox
        self.name = name
        self.attempt = attempt
        self.state = state
    }
}

/// All that the runtime holds of one pod, at one listing.
public struct PodObservation: Sendable, Hashable {
    /// Counts the listings of the node; a listing that began after an action's end has a number not below the
    /// ``PodInput/ended(_:_:freshFrom:)`` of that action.
    public var round: Int
    /// The pod's sandboxes.
    public var sandboxes: [ObservedSandbox]
    /// The pod's containers.
    public var containers: [ObservedContainer]
    /// An observation from its parts.
    public init(round: Int, sandboxes: [ObservedSandbox] = [], containers: [ObservedContainer] = []) {
        self.round = round
        self.sandboxes = sandboxes
        self.containers = containers
    }
}

/// What a pod asks its node to do. One at a time, but that stops go beside everything.
public enum PodAction: Sendable, Hashable {
    /// Put the volumes in place. Answer: ``ActionResult/done`` or a failure.
    case mountVolumes
    /// Make a sandbox. Answer: ``ActionResult/done`` or a failure.
    case runSandbox(attempt: UInt32)
    /// Say whether an image is there. Answer: ``ActionResult/image(_:)``.
    case inspectImage(container: String, image: String)
    /// Pull an image. Answer: ``ActionResult/image(_:)`` or a failure.
    case pullImage(container: String, image: String)
    /// Make and start a container from the image with that id. Answer: ``ActionResult/done`` or a failure.
    case startContainer(name: String, attempt: UInt32, sandbox: String, imageID: String)
    /// Set the node's CPU and memory aside for the containers of these names, instead of what they have. Answer:
    /// ``ActionResult/done`` or a failure, ``ActionFailure/Stage/infeasible`` or ``ActionFailure/Stage/deferred``.
    case allocate([String: ResourceNeeds])
    /// Hold a running container to other resources. Answer: ``ActionResult/done`` or a failure.
    case resizeContainer(name: String, id: String, ResourceNeeds)
    /// End a container within so many seconds.
    case stopContainer(id: String, name: String, graceSeconds: Int)
    /// Remove an ended container.
    case removeContainer(id: String)
    /// Stop a sandbox.
    case stopSandbox(id: String)
    /// Remove a stopped sandbox and what is in it.
    case removeSandbox(id: String)

    var isStop: Bool { if case .stopContainer = self { true } else { false } }
}

/// How an action ended.
public enum ActionResult: Sendable, Hashable {
    /// It was done.
    case done
    /// The image's id; nil when it is not there.
    case image(String?)
    /// It was not done.
    case failed(ActionFailure)
}

/// Why an action was not done.
public struct ActionFailure: Error, Sendable, Hashable {
    /// What failed; each has its reason in the container's status.
    public enum Stage: Sendable, Hashable {
        /// A ConfigMap or Secret is missing, or has no such key: CreateContainerConfigError.
        case configuration
        /// The runtime did not make the container: CreateContainerError.
        case create
        /// The runtime did not start the container: RunContainerError.
        case start
        /// The node will never have what is to be set aside.
        case infeasible
        /// The node does not have now what is to be set aside.
        case deferred
        /// Anything else.
        case other
    }
    /// What failed.
    public var stage: Stage
    /// One line for people.
    public var message: String
    /// A failure from its parts.
    public init(_ stage: Stage, _ message: String) {
        self.stage = stage
        self.message = message
    }
}

/// What a pod's machine is told.
public enum PodInput: Sendable {
    /// The pod in the API is now this.
    case desired(PodSpec)
    /// The API has no such pod any more: end it, and write nothing.
    case vanished
    /// The runtime was listed.
    case observed(PodObservation)
    /// An action ended; listings with a lower number than `freshFrom` may not show what it did.
    case ended(PodAction, ActionResult, freshFrom: Int)
    /// A probe was answered.
    case probed(ProbeRun, success: Bool, message: String)
    /// Time has passed.
    case tick
}

/// What a pod's machine wants done.
public enum PodEffect: Sendable, Hashable {
    /// Carry this out, and answer with ``PodInput/ended(_:_:freshFrom:)``.
    case act(PodAction)
    /// Carry this out, and answer with ``PodInput/probed(_:success:message:)``.
    case probe(ProbeRun)
    /// Write this status to the API.
    case setStatus(JSON)
    /// Record an event about the pod, or about one of its containers.
    case event(type: String, reason: String, message: String, container: String?)
    /// Give a ``PodInput/tick`` at this time (milliseconds since the epoch); replaces the one before.
    case wakeAt(Int64)
    /// Nothing of the pod is left on the node. Delete the API's object when its deletion was asked for.
    case gone
}

internal import MartletBase
public import MartletObject

/// How one certificate is got (RFC 8555, 7.4): a value that says what to do next, and is told what came of it.
public struct ACMEIssuance: Sendable, Hashable {
    /// What to do next.
    public enum Step: Sendable, Hashable {
        /// Send this, signed for the account; nil for a POST-as-GET. Then ``took(_:)``.
        case post(url: String, payload: JSON?)
        /// Let every edge answer for this token. Then ``published()``.
        case publish(token: String)
        /// Let so much time pass. Then ``waited()``.
        case wait(Duration)
        /// The chain, PEM.
        case done([UInt8])
        /// There will be none.
        case failed(ACMEProblem)
    }

    private enum Phase: Hashable {
        case ordering
        /// Looking at the authorization that comes next.
        case authorization
        case answering
        case proving
        case looking
        case finalizing
        case fetching
    }

    /// What to do now.
    public private(set) var step: Step

    private let origin: String
    private let names: [String]
    private let request: String
    private var phase = Phase.ordering
    private var order = ""
    private var finalize = ""
    /// Authorizations that are not known to be good yet.
    private var open: [String] = []
    private var challenge = ""
    private var looks = 0

    /// - Parameters:
    ///   - origin: where the directory is: nobody leads us elsewhere.
    ///   - names: what the certificate is for.
    ///   - request: the PKCS #10 request for it (DER).
    public init(_ directory: ACMEDirectory, origin: String, names: [String], request: [UInt8]) {
        self.origin = origin
        self.names = names
        self.request = Base64.encodeForURL(request)
        let identifiers = names.map { name -> JSON in ["type": "dns", "value": .string(name)] }
        step = .post(url: directory.newOrder, payload: ["identifiers": .array(identifiers)])
    }

    /// The token is answered for now: the authority may look.
    public mutating func published() {
        guard phase == .answering else { return }
        phase = .proving
        step = .post(url: challenge, payload: [:])
    }

    /// The time has passed.
    public mutating func waited() {
        step = .post(url: phase == .proving ? open.first ?? order : order, payload: nil)
        if phase == .proving { phase = .authorization }
    }

    /// Takes the answer to what was posted.
    public mutating func took(_ answer: ACMEAnswer) {
        do throws(ACMEProblem) {
            switch phase {
            case .ordering:
                guard let url = ACMEURL.checked(answer.location.map { .string($0) }, origin: origin) else {
                    throw ACMEProblem(refusal: answer)
                }
                order = url
                let made = try ACMEOrder(answer, origin: origin)
                open = made.authorizations
                try go(on: made, answer)
            case .authorization: try take(try ACMEAuthorization(answer, origin: origin), answer)
            case .proving:
                // The answer is the challenge; what comes of it, the authorization says.
                guard answer.isGood else { throw ACMEProblem(refusal: answer) }
                try pause(answer)
            case .looking, .finalizing: try go(on: try ACMEOrder(answer, origin: origin), answer)
            case .fetching:
                guard answer.isGood, answer.body.count <= ACMELimits.answer,
                    !PEM.blocks("CERTIFICATE", in: answer.body).isEmpty
                else { throw ACMEProblem(refusal: answer) }
                step = .done(answer.body)
            case .answering: break
            }
        } catch {
            step = .failed(error)
        }
    }

    private mutating func pause(_ answer: ACMEAnswer) throws(ACMEProblem) {
        looks += 1
        guard looks <= ACMELimits.looks else {
            throw ACMEProblem(
                type: "", detail: "the authority has come to no end with \(names.joined(separator: ", "))")
        }
        let asked = answer.retryAfter ?? .zero
        step = .wait(min(max(asked, ACMELimits.pause.lowerBound), ACMELimits.pause.upperBound))
    }

    private mutating func take(_ authorization: ACMEAuthorization, _ answer: ACMEAnswer) throws(ACMEProblem) {
        switch authorization.status {
        case .valid:
            open.removeFirst()
            looks = 0
            lookOn()
        case .pending:
            guard let next = authorization.challenge else {
                throw ACMEProblem(
                    type: "", detail: "the authority offers no proof by HTTP for \(authorization.name)")
            }
            if next.url == challenge {
                // It has been told already, and has not looked yet.
                phase = .proving
                return try pause(answer)
            }
            challenge = next.url
            phase = .answering
            step = .publish(token: next.token)
        default:
            throw authorization.problem
                ?? ACMEProblem(
                    type: "", detail: "the authorization of \(authorization.name) is \(authorization.status)")
        }
    }

    /// Looks at the authorization that comes next, or, when there is none left, at the order.
    private mutating func lookOn() {
        phase = open.isEmpty ? .looking : .authorization
        step = .post(url: open.first ?? order, payload: nil)
    }

    private mutating func go(on order: ACMEOrder, _ answer: ACMEAnswer) throws(ACMEProblem) {
        switch order.status {
        case .pending where phase == .ordering && !open.isEmpty: lookOn()
        case .ready where phase != .finalizing:
            phase = .finalizing
            step = .post(url: order.finalize, payload: ["csr": .string(request)])
        case .pending, .ready, .processing:
            if phase == .ordering { phase = .looking }
            try pause(answer)
        case .valid:
            guard let certificate = order.certificate else {
                throw ACMEProblem(type: "", detail: "the authority names no certificate")
            }
            phase = .fetching
            step = .post(url: certificate, payload: nil)
        case .invalid: throw order.problem ?? ACMEProblem(type: "", detail: "the order is invalid")
        }
    }
}

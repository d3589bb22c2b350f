internal import MartletStore

/// What a call shows of who makes it.
struct Credentials: Sendable, Hashable {
    /// The token in the call's metadata.
    var token: String?
    /// The common name of the client's verified certificate.
    var commonName: String?

    /// The user, by token or else by certificate; nil when the call shows neither.
    /// - Throws: ``Refusal/invalidToken``.
    func user(_ auth: AuthState, now: Int64) throws(Refusal) -> String? {
        if let token { return try Tokens.user(of: token, auth, now: now) }
        if let commonName, !commonName.isEmpty { return commonName }
        return nil
    }
}

/// What a call may do, judged by the users and roles of one moment. Its command carries that moment's revision into the
/// log and is refused there when they have changed since.
struct Warrant: Sendable {
    /// The users and roles; nil: rules are off, everything is allowed.
    private let auth: AuthState?
    private let user: String?

    /// The moment, to be written into a command: also where rules are off, as they may be switched on meanwhile.
    let revision: UInt64

    init(_ credentials: Credentials, _ auth: AuthState, now: Int64) throws(Refusal) {
        revision = auth.revision
        self.auth = auth.enabled ? auth : nil
        user = auth.enabled ? try credentials.user(auth, now: now) : nil
    }

    /// Some user must stand behind the call.
    func needUser() throws(Refusal) { if auth != nil, user == nil { throw .userEmpty } }

    /// Only those with root's role.
    func needAdministrator() throws(Refusal) {
        guard let auth else { return }
        guard let user else { throw .userEmpty }
        guard auth.users[user] != nil else { throw .userNotFound }
        guard auth.isAdministrator(user) else { throw .permissionDenied }
    }

    /// Those with root's role, and a user in its own matters.
    func needAdministrator(or other: String) throws(Refusal) {
        if auth != nil, user == other { return }
        try needAdministrator()
    }

    /// Those with root's role, and users who have that role.
    func needAdministrator(orRole role: String) throws(Refusal) {
        if let auth, let user, auth.users[user]?.roles.contains(role) == true { return }
        try needAdministrator()
    }

    func need(_ access: AuthState.Access, _ range: KeyRange) throws(Refusal) {
        guard let auth else { return }
        guard let user else { throw .userEmpty }
        guard auth.check(user: user, range: range, access) else { throw .permissionDenied }
    }

    /// All that a transaction might do, in both branches. A put moves a key between leases, so it needs the right to
    /// write all keys that hang on the lease too.
    func need(_ transaction: Transaction, _ leases: (Int64) -> [[UInt8]]) throws(Refusal) {
        guard auth != nil else { return }
        for condition in transaction.conditions { try need(.read, condition.range) }
        for list in [transaction.success, transaction.failure] {
            for operation in list { try need(operation, leases) }
        }
    }

    private func need(_ operation: Operation, _ leases: (Int64) -> [[UInt8]]) throws(Refusal) {
        switch operation {
        case .put(let put):
            let range = KeyRange(key: put.key)
            try need(.write, range)
            if put.returnsPrevious { try need(.read, range) }
            if put.lease != 0 {
                for key in leases(put.lease) { try need(.write, KeyRange(key: key)) }
            }
        case .deleteRange(let range, let returnsPrevious):
            try need(.write, range)
            if returnsPrevious { try need(.read, range) }
        case .range(let query): try need(.read, query.range)
        case .transaction(let inner): try need(inner, leases)
        }
    }
}

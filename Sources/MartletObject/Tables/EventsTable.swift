extension SchemaTables {
    /// The fields of events of events.k8s.io.
    static let events = """
        package io.k8s.api.events.v1 events.k8s.io/v1
        Event kind
          metadata 1 ObjectMeta
          eventTime 2 microTime !
          series 3 EventSeries
          reportingController 4 string
          reportingInstance 5 string
          action 6 string
          reason 7 string
          regarding 8 ObjectReference
          related 9 ObjectReference
          note 10 string
          type 11 string
          deprecatedSource 12 EventSource
          deprecatedFirstTimestamp 13 time
          deprecatedLastTimestamp 14 time
          deprecatedCount 15 int32
        EventSeries
          count 1 int32 !
          lastObservedTime 2 microTime !
        EventList kind
          metadata 1 ListMeta
          items 2 []Event !
        """
}

// The room MartletPods; its parts come with their builders.

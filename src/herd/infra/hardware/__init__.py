"""The hardware layer: network, cluster, load balancers and what leads to them."""

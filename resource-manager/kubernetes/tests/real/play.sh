# What the containers of these tests run in the place of flott: what the name of the worker says.
trap 'exit 0' TERM
case "$*" in
*resource-id=broken*) exit 7 ;;
*resource-id=glutton*) exec tail /dev/zero ;;
esac
echo ready
while :; do sleep 100 & wait $!; done

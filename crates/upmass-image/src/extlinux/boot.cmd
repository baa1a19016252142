# Which slot U-Boot loads. What this reads is described in upmass-boot/spec/uboot.md. It is run with devtype and
# devnum, as U-Boot's boot commands set them, and does nothing that it could not do again at the next start.
setenv upmass_once_slot
setenv upmass_once_entry
setenv upmass_entry
${devtype} dev ${devnum}
if part start ${devtype} ${devnum} boot-once upmass_sector; then
  # The one-shot. It is cleared before it is used: what cannot be cleared would be done at every start.
  if ${devtype} read ${kernel_addr_r} ${upmass_sector} 1; then
    if itest.l *${kernel_addr_r} -ne 0; then
      if env import -c ${kernel_addr_r} 0x200 upmass_once_slot upmass_once_entry; then
        mw.b ${kernel_addr_r} 0 0x200
        ${devtype} write ${kernel_addr_r} ${upmass_sector} 1
        mw.b ${kernel_addr_r} 0xff 0x200
        setenv upmass_is_cleared
        if ${devtype} read ${kernel_addr_r} ${upmass_sector} 1; then
          if itest.l *${kernel_addr_r} -eq 0; then setenv upmass_is_cleared 1; fi
        fi
        if test -z "${upmass_is_cleared}"; then
          echo "Upmass: the one-shot cannot be cleared, so it is not done"
          setenv upmass_once_slot
          setenv upmass_once_entry
        fi
      fi
    fi
  fi
  # The system that is preferred, and its copy.
  setenv upmass_is_read
  for upmass_copy in 1 2; do
    if test -z "${upmass_is_read}"; then
      setexpr upmass_copy_sector ${upmass_sector} + ${upmass_copy}
      if ${devtype} read ${kernel_addr_r} ${upmass_copy_sector} 1; then
        if itest.l *${kernel_addr_r} -eq 0; then
          setenv upmass_is_read 1
        elif env import -c ${kernel_addr_r} 0x200 upmass_entry; then
          setenv upmass_is_read 1
        fi
      fi
    fi
  done
fi
# The active slot is the first partition.
setenv upmass_order 1 2
setenv upmass_slot none
part uuid ${devtype} ${devnum}:2 upmass_slot
if test "${upmass_once_slot}" = "${upmass_slot}"; then setenv upmass_order 2 1; fi
setenv upmass_configs extlinux.conf
if test -n "${upmass_entry}"; then setenv upmass_configs extlinux/${upmass_entry} ${upmass_configs}; fi
if test -n "${upmass_once_entry}"; then setenv upmass_configs extlinux/${upmass_once_entry} ${upmass_configs}; fi
# What cannot be loaded gives way to the next one; the kernel is told which slot it is.
for upmass_part in ${upmass_order}; do
  part uuid ${devtype} ${devnum}:${upmass_part} upmass_slot
  for upmass_config in ${upmass_configs}; do
    if test -e ${devtype} ${devnum}:${upmass_part} /upmass/${upmass_config}; then
      echo "Upmass: slot ${upmass_slot}, ${upmass_config}"
      sysboot ${devtype} ${devnum}:${upmass_part} any ${scriptaddr} /upmass/${upmass_config}
    fi
  done
done
echo "Upmass: no slot of ${devtype} ${devnum} can be loaded"

